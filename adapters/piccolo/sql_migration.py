"""Migrations that are a script of SQL to go forwards, and one to go back."""

from collections.abc import Awaitable, Callable

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.engine import engine_finder
from piccolo.engine.postgres import PostgresEngine


def scripted(
    migration_id: str, description: str, *, forwards: str, backwards: str
) -> MigrationManager:
    """Return the migration; each script may be many statements."""
    manager = MigrationManager(
        migration_id=migration_id, app_name="chatkeep", description=description
    )
    manager.add_raw(_running(forwards))
    manager.add_raw_backwards(_running(backwards))
    return manager


def _running(script: str) -> Callable[[], Awaitable[None]]:
    async def run() -> None:
        """Run it in the transaction that Piccolo runs the migration in."""
        engine = engine_finder()
        current = engine.current_transaction.get() if isinstance(engine, PostgresEngine) else None
        if current is None:
            raise TypeError("Piccolo runs this in a transaction of a Postgres engine")
        await current.connection.execute(script)

    return run
