"""What was adopted from other tables, so that adopting again adds only what is new.

Going back forgets it: what was deleted here since would be adopted once more.
"""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.engine import engine_finder
from piccolo.engine.postgres import PostgresEngine

ID = "2026-11-22T12:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "What was adopted from other tables"

# Ids of conversations and messages, and nothing about their users: a row stays when they go.
CREATE = "CREATE TABLE adoptions (id uuid PRIMARY KEY, run timestamptz NOT NULL)"
DROP = "DROP TABLE adoptions"


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
