"""Applies and lists the migrations, through Piccolo.

Piccolo itself must not run twice at once, and records a migration outside the transaction that it
was applied in. Here everything is one transaction under one lock: when several processes start at
once, the first applies them and the others find nothing to do.

Piccolo looks for its engine and its apps in a module that an environment variable names, else in
`piccolo_conf`, which may be another project's. Here it finds the engine that the caller gives.
"""

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any, Final

from piccolo.conf.apps import ENVIRONMENT_VARIABLE, AppRegistry

from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.errors import first_line, translate_errors
from chatkeep.adapters.piccolo.users import ID_COLUMN, TOO_LONG, WIDEN, narrower_ids
from chatkeep.domain.operations.migrations import MigrationError, MigrationStatus

# Any number will do, as long as nobody else uses it in this database: "chatkeep" in ASCII.
LOCK: Final = int.from_bytes(b"chatkeep")
LOCK_TIMEOUT: Final = "60s"

APP: Final = "chatkeep"
CONFIGURATION: Final = "chatkeep.adapters.piccolo.configuration_of_this_run"
RAN: Final = "SELECT name, ran_on FROM migration WHERE app_name = $1"


async def migrate(engine: Engine) -> list[MigrationStatus]:
    """Apply what is pending; return it as it is afterwards.

    Raises `MigrationError`, `StoreUnavailableError` and `DatabaseError`.
    """
    with translate_errors():
        async with engine.transaction():
            await engine.fetch(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
            await engine.fetch("SELECT pg_advisory_xact_lock($1)", LOCK)
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
    # Piccolo's commands bring a code formatter along: most of our own commands are done sooner than
    # it is loaded.
    from piccolo.apps.migrations.commands.base import BaseMigrationManager  # noqa: PLC0415

    from chatkeep.adapters.piccolo.piccolo_app import APP_CONFIG  # noqa: PLC0415

    [row] = await engine.fetch("SELECT to_regclass('migration') IS NOT NULL AS exists")
    ran: dict[str, Any] = {}
    if row["exists"]:
        rows = await engine.fetch(RAN, APP)
        ran = {row["name"]: row["ran_on"] for row in rows}
    with _configured(engine):
        modules = BaseMigrationManager().get_migration_modules(
            APP_CONFIG.resolved_migrations_folder_path
        )
    return [
        MigrationStatus(id, getattr(modules[id], "DESCRIPTION", ""), ran.get(id))
        for id in sorted(modules)  # noqa: A001 - the word for it
    ]


async def _run(engine: Engine) -> None:
    from piccolo.apps.migrations.commands.forwards import run_forwards  # noqa: PLC0415 - as above

    try:
        with contextlib.redirect_stdout(io.StringIO()), _configured(engine):
            result = await run_forwards(APP)
    except Exception as error:
        raise MigrationError(first_line(error)) from error
    if not result.success:
        raise MigrationError(result.message or "the migration failed")


@contextlib.contextmanager
def _configured(engine: Engine) -> Iterator[None]:
    """Within the block, have Piccolo use this engine and our app."""
    from piccolo.apps.migrations.tables import Migration  # noqa: PLC0415 - as above

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
