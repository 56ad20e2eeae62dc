"""The version that a conversation's search index was made by.

What was made by an earlier version has other words, so a search makes it again.
"""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from chatkeep.adapters.piccolo.sql_migration import sql_migration

ID = "2026-11-29T02:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "The version of the search index"

CREATE = "ALTER TABLE search_conversations ADD COLUMN index_version integer NOT NULL DEFAULT 1"
DROP = "ALTER TABLE search_conversations DROP COLUMN index_version"


async def forwards() -> MigrationManager:
    return sql_migration(ID, DESCRIPTION, forwards=CREATE, backwards=DROP)
