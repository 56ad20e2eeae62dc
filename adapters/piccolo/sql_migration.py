"""Migrations given as two SQL scripts, one to go forwards and one to go back."""

from collections.abc import Awaitable, Callable

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.engine import engine_finder
from piccolo.engine.postgres import PostgresEngine


def sql_migration(
    migration_id: str, description: str, *, forwards: str, backwards: str
) -> MigrationManager:
    """Return the migration. A script may have several statements."""
    manager = MigrationManager(
        migration_id=migration_id, app_name="chatkeep", description=description
    )
    manager.add_raw(_script_runner(forwards))
    manager.add_raw_backwards(_script_runner(backwards))
    return manager


def _script_runner(script: str) -> Callable[[], Awaitable[None]]:
    async def run() -> None:
        """Run the script in Piccolo's transaction for the migration."""
        engine = engine_finder()
        current = engine.current_transaction.get() if isinstance(engine, PostgresEngine) else None
        if current is None:
            raise TypeError("Piccolo runs this in a transaction of a Postgres engine")
        await current.connection.execute(script)

    return run
