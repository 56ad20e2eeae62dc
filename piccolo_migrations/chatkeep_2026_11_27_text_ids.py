"""Ids of conversations and messages that are not UUIDs.

The primary keys find them, for the key of a text id is derived from the text. Going back forgets
the texts: what has one stays, under its key.
"""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from chatkeep.adapters.piccolo.sql_migration import sql_migration

ID = "2026-11-27T03:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Text ids"

CREATE = """
ALTER TABLE conversations ADD COLUMN text_id text;
ALTER TABLE messages ADD COLUMN text_id text;
"""
DROP = """
ALTER TABLE messages DROP COLUMN text_id;
ALTER TABLE conversations DROP COLUMN text_id;
"""


async def forwards() -> MigrationManager:
    return sql_migration(ID, DESCRIPTION, forwards=CREATE, backwards=DROP)
