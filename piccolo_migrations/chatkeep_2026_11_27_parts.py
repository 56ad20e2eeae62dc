"""Content parts of messages: the content as a list, exactly as it was sent.

The column is NULL where the content is a text, which costs no space. `json` keeps the text of a
document, `jsonb` would not keep the order of keys. Going back loses the parts; their text stays.
"""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from chatkeep.adapters.piccolo.sql_migration import sql_migration

ID = "2026-11-27T02:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Content parts"


async def forwards() -> MigrationManager:
    return sql_migration(
        ID,
        DESCRIPTION,
        forwards="ALTER TABLE messages ADD COLUMN parts json",
        backwards="ALTER TABLE messages DROP COLUMN parts",
    )
