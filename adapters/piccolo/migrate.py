"""Applies and lists the migrations, through Piccolo, on the engine of `piccolo_conf`.

Piccolo itself must not run twice at once, and records a migration outside the transaction that it
was applied in. Here everything is one transaction under one lock: when several processes start at
once, the first applies them and the others find nothing to do.
"""

import contextlib
import io
import os
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from piccolo.conf.apps import ENVIRONMENT_VARIABLE
from piccolo.engine import engine_finder

from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.errors import first_line
from chatkeep.adapters.piccolo.users import ID_COLUMN, TOO_LONG, WIDEN, narrower_ids

# Any number will do, as long as nobody else uses it in this database: "chatkeep" in ASCII.
LOCK: Final = int.from_bytes(b"chatkeep")
LOCK_TIMEOUT: Final = "60s"

APP: Final = "chatkeep"
CONFIGURATION: Final = "chatkeep.piccolo_conf"
RAN: Final = "SELECT name, ran_on FROM migration WHERE app_name = $1"


class MigrationError(Exception):
    """A migration could not be applied; nothing was changed. The message is fit to show."""


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    """`ran_on` is the time it was applied, in the time zone of who did; None while pending."""

    id: str
    description: str
    ran_on: datetime | None


async def migrate() -> list[MigrationStatus]:
    """Apply what is pending; return it as it stands afterwards. Raises `MigrationError`."""
    from piccolo.apps.migrations.commands.forwards import run_forwards  # noqa: PLC0415 - see below

    engine = _engine()
    async with engine.transaction():
        await engine.fetch(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
        await engine.fetch("SELECT pg_advisory_xact_lock($1)", LOCK)
        pending = {each.id for each in await status() if each.ran_on is None}
        if pending:
            try:
                with contextlib.redirect_stdout(io.StringIO()):
                    result = await run_forwards(APP)
            except Exception as error:
                raise MigrationError(first_line(error)) from error
            if not result.success:
                raise MigrationError(result.message or "the migration failed")
        return [each for each in await status() if each.id in pending]


async def warnings() -> list[str]:
    """Return what the newest schema cannot mend, each with the way out. Changes nothing."""
    rows = await _engine().fetch(ID_COLUMN)
    narrow = narrower_ids(rows[0]["type"]) if rows else None
    if narrow is None:
        return []
    return [f"users.id takes only {narrow} characters, {TOO_LONG}: {WIDEN}"]


async def status() -> list[MigrationStatus]:
    """Return every migration, oldest first. Changes nothing."""
    # Piccolo's commands bring a code formatter along: most of our own commands are done sooner than
    # it is loaded.
    from piccolo.apps.migrations.commands.base import BaseMigrationManager  # noqa: PLC0415

    from chatkeep.adapters.piccolo.piccolo_app import APP_CONFIG  # noqa: PLC0415

    engine = _engine()
    [row] = await engine.fetch("SELECT to_regclass('migration') IS NOT NULL AS exists")
    ran: dict[str, Any] = {}
    if row["exists"]:
        rows = await engine.fetch(RAN, APP)
        ran = {row["name"]: row["ran_on"] for row in rows}
    modules = BaseMigrationManager().get_migration_modules(
        APP_CONFIG.resolved_migrations_folder_path
    )
    return [
        MigrationStatus(id, getattr(modules[id], "DESCRIPTION", ""), ran.get(id))
        for id in sorted(modules)  # noqa: A001 - the word for it
    ]


def _engine() -> Engine:
    # Piccolo's commands look there too, and not at a `piccolo_conf` of somebody else's.
    os.environ[ENVIRONMENT_VARIABLE] = CONFIGURATION
    engine = engine_finder()
    if not isinstance(engine, Engine):
        raise TypeError(f"{CONFIGURATION}.DB is not chatkeep's engine")
    return engine
