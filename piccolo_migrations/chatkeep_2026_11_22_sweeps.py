"""The sweeps that the service did by itself: a row for each that was due.

Going back forgets them; a sweep that was done today may then be done again, which is harmless.
"""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.engine import engine_finder
from piccolo.engine.postgres import PostgresEngine

ID = "2026-11-22T10:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Daily sweeps"

CREATE = """
CREATE TABLE conversation_sweeps (
  due timestamptz PRIMARY KEY,
  started_at timestamptz NOT NULL,
  finished_at timestamptz,
  archived integer NOT NULL DEFAULT 0,
  deleted integer NOT NULL DEFAULT 0,
  messages bigint NOT NULL DEFAULT 0,
  retained integer NOT NULL DEFAULT 0
)"""
DROP = "DROP TABLE conversation_sweeps"


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="chatkeep", description=DESCRIPTION)
    manager.add_raw(create)
    manager.add_raw_backwards(drop)
    return manager


async def create() -> None:
    await _execute(CREATE)


async def drop() -> None:
    await _execute(DROP)


async def _execute(statement: str) -> None:
    """Run it in the transaction that Piccolo runs this migration in."""
    engine = engine_finder()
    transaction = engine.current_transaction.get() if isinstance(engine, PostgresEngine) else None
    if transaction is None:
        raise TypeError("Piccolo runs this in a transaction of a Postgres engine")
    await transaction.connection.execute(statement)
