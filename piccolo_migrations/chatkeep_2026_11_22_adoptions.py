"""What was adopted from other tables, so that adopting again adds only what is new.

Going back forgets it: what was deleted here since would be adopted once more.
"""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from chatkeep.adapters.piccolo.sql_migration import scripted

ID = "2026-11-22T12:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "What was adopted from other tables"

# Ids of conversations and messages, and nothing about their users: a row stays when they go.
CREATE = "CREATE TABLE adoptions (id uuid PRIMARY KEY, run timestamptz NOT NULL)"
DROP = "DROP TABLE adoptions"


async def forwards() -> MigrationManager:
    return scripted(ID, DESCRIPTION, forwards=CREATE, backwards=DROP)
