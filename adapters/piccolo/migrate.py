"""Applies and lists the migrations, through Piccolo.

Two runs of Piccolo's own command at once would collide, and it records a migration outside of the
transaction that applies it. Here everything is one transaction under one lock: when several
processes start at once, the first applies the migrations and the others find nothing to do.

Piccolo looks for its engine and its apps in a module that an environment variable names, else in
`piccolo_conf`, which may be another project's. Here it finds the engine that the caller gives.
"""

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from datetime import datetime
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import Final

from chatkeep.adapters.piccolo import locks
from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.errors import first_line, translate_errors
from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.adapters.piccolo.tables import Migrations
from chatkeep.adapters.piccolo.users import ID_COLUMN, TOO_LONG, WIDEN, narrower_ids
from chatkeep.domain.operations.migrations import MigrationError, MigrationStatus

APP: Final = "chatkeep"
MIGRATIONS: Final = "chatkeep.piccolo_migrations"
ENVIRONMENT_VARIABLE: Final = "PICCOLO_CONF"
CONFIGURATION: Final = "chatkeep.adapters.piccolo.configuration_of_this_run"

SET_LOCK_TIMEOUT: Final = Statement("migrate.lock_timeout", "SET LOCAL lock_timeout = '60s'")
EXISTS: Final = Statement("migrate.exists", "SELECT to_regclass('migration') IS NOT NULL AS exists")


async def migrate(engine: Engine) -> list[MigrationStatus]:
    """Apply what is pending; return it as it is afterwards.

    Raises `MigrationError`, `StoreUnavailableError` and `DatabaseError`.
    """
    with translate_errors():
        async with engine.transaction():
            await engine.fetch(SET_LOCK_TIMEOUT)
            await locks.wait_for(engine, locks.MIGRATION)
            pending = {each.id for each in await _status(engine) if each.ran_on is None}
            if pending:
                await _run(engine)
            return [each for each in await _status(engine) if each.id in pending]


async def warnings(engine: Engine) -> list[str]:
    """Return what the newest schema cannot fix, each with what to do. Changes nothing."""
    with translate_errors():
        rows = await engine.fetch(ID_COLUMN)
    narrow = narrower_ids(rows[0]["type"]) if rows else None
    if narrow is None:
        return []
    return [f"users.id takes only {narrow} characters, {TOO_LONG}: {WIDEN}"]


async def status(engine: Engine) -> list[MigrationStatus]:
    """Return every migration, oldest first. Changes nothing."""
    with translate_errors():
        return await _status(engine)


async def _status(engine: Engine) -> list[MigrationStatus]:
    [row] = await engine.fetch(EXISTS)
    applied = await read_applied(engine) if row["exists"] else {}
    return [
        MigrationStatus(id_, description, applied.get(id_))
        for id_, description in list_migrations().items()
    ]


def list_migrations() -> dict[str, str]:
    """Return the description of every migration by its id, oldest first."""
    package = import_module(MIGRATIONS)
    names = (each.name for each in iter_modules(package.__path__))
    modules = [import_module(f"{MIGRATIONS}.{name}") for name in names]
    return {each.ID: each.DESCRIPTION for each in sorted(modules, key=lambda each: str(each.ID))}


async def read_applied(engine: Engine) -> dict[str, datetime]:
    """Return when each migration was applied, by its id. Piccolo's table must be there."""
    query = Migrations.select(Migrations.name, Migrations.ran_on).where(Migrations.app_name == APP)
    rows = await engine.fetch_query("migrate.ran", query)
    return {row["name"]: row["ran_on"] for row in rows}


async def _run(engine: Engine) -> None:
    # Piccolo's commands import a code formatter, which takes longer than most commands here.
    from piccolo.apps.migrations.commands.forwards import run_forwards  # noqa: PLC0415

    try:
        with contextlib.redirect_stdout(io.StringIO()), _configure_piccolo(engine):
            result = await run_forwards(APP)
    except Exception as error:
        raise MigrationError(first_line(error)) from error
    if not result.success:
        raise MigrationError(result.message or "the migration failed")


@contextlib.contextmanager
def _configure_piccolo(engine: Engine) -> Iterator[None]:
    """Within the block, have Piccolo use this engine and our app."""
    from piccolo.apps.migrations.tables import Migration  # noqa: PLC0415 - as above
    from piccolo.conf.apps import AppRegistry  # noqa: PLC0415

    configuration = ModuleType(CONFIGURATION)
    apps = AppRegistry(apps=["chatkeep.adapters.piccolo.piccolo_app"])
    vars(configuration).update(DB=engine, APP_REGISTRY=apps)
    sys.modules[CONFIGURATION] = configuration
    environment, path = os.environ.get(ENVIRONMENT_VARIABLE), [*sys.path]
    os.environ[ENVIRONMENT_VARIABLE] = CONFIGURATION
    Migration._meta.db = engine  # noqa: SLF001 - it would keep the engine of an earlier run
    try:
        yield
    finally:
        del sys.modules[CONFIGURATION]
        sys.path[:] = path  # Piccolo adds the folder of the migrations each time
        if environment is None:
            del os.environ[ENVIRONMENT_VARIABLE]
        else:
            os.environ[ENVIRONMENT_VARIABLE] = environment
