"""Which rows of legacy tables were adopted, so that adopting again adds only new ones.

Going back drops that record: adopting again would then restore what was deleted since.
"""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from chatkeep.adapters.piccolo.sql_migration import sql_migration

ID = "2026-11-22T12:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "What was adopted from other tables"

# Ids of conversations and messages only, nothing about users: a row outlives its conversation.
CREATE = "CREATE TABLE adoptions (id uuid PRIMARY KEY, run timestamptz NOT NULL)"
DROP = "DROP TABLE adoptions"


async def forwards() -> MigrationManager:
    return sql_migration(ID, DESCRIPTION, forwards=CREATE, backwards=DROP)
