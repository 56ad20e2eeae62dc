"""More fields of messages: tokens, where contexts start, edits, and clients' own documents.

All are NULL in most messages, which costs no space. Going back loses them.
"""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from chatkeep.adapters.piccolo.sql_migration import sql_migration

ID = "2026-11-27T01:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "More fields of messages"

ADD = """
ALTER TABLE messages
  ADD COLUMN tokens integer,
  ADD COLUMN starts_context boolean,
  ADD COLUMN edited_at timestamptz,
  ADD COLUMN format text,
  ADD COLUMN original text"""
DROP = """
ALTER TABLE messages
  DROP COLUMN tokens, DROP COLUMN starts_context, DROP COLUMN edited_at,
  DROP COLUMN format, DROP COLUMN original"""


async def forwards() -> MigrationManager:
    return sql_migration(ID, DESCRIPTION, forwards=ADD, backwards=DROP)
