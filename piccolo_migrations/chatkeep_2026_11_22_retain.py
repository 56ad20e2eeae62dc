"""Conversations on hold, which neither sweeps nor erasure delete.

Going back forgets which ones were on hold.
"""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from chatkeep.adapters.piccolo.sql_migration import sql_migration

ID = "2026-11-22T09:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Conversations on hold"

CREATE = "ALTER TABLE conversations ADD COLUMN retain boolean NOT NULL DEFAULT false"
DROP = "ALTER TABLE conversations DROP COLUMN retain"


async def forwards() -> MigrationManager:
    return sql_migration(ID, DESCRIPTION, forwards=CREATE, backwards=DROP)
