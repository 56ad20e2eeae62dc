"""A number on each conversation that every change of it or of its log raises: its ETag.

The default is a constant, so no row is rewritten. A process of an earlier version does not raise
the number: until the last of them has stopped, a condition may miss a change that it made.
"""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from chatkeep.adapters.piccolo.sql_migration import sql_migration

ID = "2026-11-27T04:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Revisions of conversations"

CREATE = "ALTER TABLE conversations ADD COLUMN revision bigint NOT NULL DEFAULT 0"
DROP = "ALTER TABLE conversations DROP COLUMN revision"


async def forwards() -> MigrationManager:
    return sql_migration(ID, DESCRIPTION, forwards=CREATE, backwards=DROP)
