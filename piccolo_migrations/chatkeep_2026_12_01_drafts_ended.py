"""An index of the drafts of all users that have ended, by their end: to forget the old ones."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from chatkeep.adapters.piccolo.sql_migration import sql_migration

ID = "2026-12-01T02:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Forgetting the drafts of all users"

CREATE = "CREATE INDEX idx_drafts_forgotten ON drafts (ended_at) WHERE ended_at IS NOT NULL"
DROP = "DROP INDEX idx_drafts_forgotten"


async def forwards() -> MigrationManager:
    return sql_migration(ID, DESCRIPTION, forwards=CREATE, backwards=DROP)
