"""What reads of long conversations need: the paths of branches, and where a context starts.

The path of a branch is NULL if it is not known: then it is found by going from branch to branch.
The index is built while messages cannot be written. If there are so many that this takes too long,
make it first, with CONCURRENTLY (docs/deploy.md).
"""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from chatkeep.adapters.piccolo.sql_migration import sql_migration

ID = "2026-11-28T01:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Paths of branches, and messages that start a context"

CREATE = """
ALTER TABLE conversation_branches ADD COLUMN path_firsts bigint[];
ALTER TABLE conversation_branches ADD COLUMN path_lasts bigint[];
CREATE INDEX IF NOT EXISTS idx_messages_starts_context ON messages (conversation_id, position)
    WHERE starts_context;
"""
DROP = """
DROP INDEX idx_messages_starts_context;
ALTER TABLE conversation_branches DROP COLUMN path_lasts;
ALTER TABLE conversation_branches DROP COLUMN path_firsts;
"""


async def forwards() -> MigrationManager:
    return sql_migration(ID, DESCRIPTION, forwards=CREATE, backwards=DROP)
