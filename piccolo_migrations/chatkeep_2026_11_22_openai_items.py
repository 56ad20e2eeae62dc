"""Items of OpenAI's Conversations API: their own rows, or the text that a message was sent as.

Going back drops the original texts and the items that are not messages; the messages stay.
"""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.engine import engine_finder
from piccolo.engine.postgres import PostgresEngine

ID = "2026-11-22T06:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Items of OpenAI's Conversations API"

# `json` keeps a text as it was sent: order of keys, numbers, escapes. `jsonb` does not.
CREATE = """
ALTER TABLE messages ADD COLUMN item_id text, ADD COLUMN item json;
CREATE UNIQUE INDEX idx_messages_item_id ON messages (conversation_id, item_id, user_id)
  WHERE item_id IS NOT NULL;

CREATE TABLE conversation_items (
  conversation_id uuid NOT NULL,
  user_id varchar(255) NOT NULL,
  position bigint NOT NULL,
  item_id text NOT NULL,
  item json NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (conversation_id, position, user_id),
  FOREIGN KEY (conversation_id, user_id) REFERENCES conversations (id, user_id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX idx_conversation_items_item_id
  ON conversation_items (conversation_id, item_id, user_id);
CREATE STATISTICS conversation_items_owner (dependencies)
  ON conversation_id, user_id FROM conversation_items;

CREATE TABLE conversation_keys (
  conversation_id uuid NOT NULL,
  user_id varchar(255) NOT NULL,
  key text NOT NULL,
  digest text NOT NULL,
  first_position bigint NOT NULL,
  last_position bigint NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (conversation_id, key, user_id),
  FOREIGN KEY (conversation_id, user_id) REFERENCES conversations (id, user_id) ON DELETE CASCADE
);
"""

DROP = """
DROP TABLE conversation_keys;
DROP TABLE conversation_items;
ALTER TABLE messages DROP COLUMN item, DROP COLUMN item_id;
"""


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="chatkeep", description=DESCRIPTION)
    manager.add_raw(create)
    manager.add_raw_backwards(drop)
    return manager


async def create() -> None:
    await _execute(CREATE)


async def drop() -> None:
    await _execute(DROP)


async def _execute(script: str) -> None:
    """Run a script of several statements in Piccolo's transaction for this migration."""
    engine = engine_finder()
    transaction = engine.current_transaction.get() if isinstance(engine, PostgresEngine) else None
    if transaction is None:
        raise TypeError("Piccolo runs this in a transaction of a Postgres engine")
    await transaction.connection.execute(script)
