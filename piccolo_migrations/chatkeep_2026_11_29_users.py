"""The index of the list of users, by the code points of their ids.

The table may belong to another application, and is not altered then: docs/users.md has the index.
"""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from chatkeep.adapters.piccolo.sql_migration import sql_migration

ID = "2026-11-29T03:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "The index of the list of users"

CREATE = """
DO $$
BEGIN
  IF obj_description(to_regclass('users'), 'pg_class') = 'made by chatkeep' THEN
    CREATE INDEX IF NOT EXISTS idx_users_id ON users (id COLLATE "C");
  END IF;
END $$;
"""
DROP = """
DO $$
BEGIN
  IF obj_description(to_regclass('users'), 'pg_class') = 'made by chatkeep' THEN
    DROP INDEX IF EXISTS idx_users_id;
  END IF;
END $$;
"""


async def forwards() -> MigrationManager:
    return sql_migration(ID, DESCRIPTION, forwards=CREATE, backwards=DROP)
