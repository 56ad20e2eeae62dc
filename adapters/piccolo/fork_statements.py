"""The SQL of a fork: copies ranges of a log into a new conversation, in one statement."""

from typing import Final

from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.adapters.piccolo.tables import ConversationItems, Messages, column_names
from chatkeep.adapters.piccolo.users import ERASE_TIMEOUT

_SAME: Final = ", ".join(
    column_names(
        Messages, without=["id", "conversation_id", "user_id", "item", "item_id", "position"]
    )
)
_SAME_OF_ITEM: Final = ", ".join(
    column_names(ConversationItems, without=["conversation_id", "user_id"])
)


def _key(digest: str) -> str:
    """Return an expression for the UUID version 8 of a digest, as `domain.forking` makes it."""
    version = f"set_byte({digest}, 6, get_byte({digest}, 6) & 15 | 128)"
    return (
        f"encode(substring(set_byte({version}, 8, get_byte({digest}, 8) & 63 | 128) "
        "FROM 1 FOR 16), 'hex')::uuid"
    )


# `digest` is that of a copy's id. Hexadecimal digits of the id are in the generated id of an item.
FORK: Final = Statement(
    "log.fork",
    f"""
WITH copied AS MATERIALIZED (
  SELECT m.*, sha256(
    uuid_send(:conversation_id::uuid)
    || CASE WHEN m.text_id IS NULL THEN uuid_send(m.id) ELSE convert_to(m.text_id, 'UTF8') END
  ) AS digest
  FROM unnest(:lows::text[]::bigint[], :highs::text[]::bigint[]) AS span (low, high)
  CROSS JOIN LATERAL (
    SELECT * FROM messages
    WHERE conversation_id = :source AND user_id = :user_id
      AND position BETWEEN span.low AND span.high
  ) AS m
), copied_items AS MATERIALIZED (
  SELECT i.*
  FROM unnest(:lows::text[]::bigint[], :highs::text[]::bigint[]) AS span (low, high)
  CROSS JOIN LATERAL (
    SELECT * FROM conversation_items
    WHERE conversation_id = :source AND user_id = :user_id
      AND position BETWEEN span.low AND span.high
  ) AS i
), latest AS (
  SELECT coalesce(text_id, id::text) AS id FROM copied ORDER BY position DESC LIMIT 1
), made AS (
  INSERT INTO conversations (id, text_id, user_id, title, status, metadata, created_at, updated_at,
                             retain, revision, message_count, last_position, forked_from, forked_at)
  SELECT :conversation_id, :conversation_text_id, :user_id, :title, :status,
         :conversation_metadata, :conversation_created_at, :at, :retain, :revision,
         (SELECT count(*) FROM copied),
         greatest((SELECT max(position) FROM copied), (SELECT max(position) FROM copied_items), 0),
         :forked_from, (SELECT id FROM latest)
  FROM conversations source WHERE source.id = :source AND source.user_id = :user_id
  RETURNING conversations.id, conversations.user_id, conversations.message_count,
            conversations.forked_at
), added AS (
  INSERT INTO messages (id, conversation_id, user_id, position, item, item_id, {_SAME})
  SELECT {_key("copied.digest")}, made.id, made.user_id, copied.position,
         CASE WHEN copied.item IS NULL OR copied.item_id IS NOT NULL THEN copied.item
           ELSE replace(copied.item::text, replace(copied.id::text, '-', ''),
                        replace({_key("copied.digest")}::text, '-', ''))::json END,
         copied.item_id, {", ".join(f"copied.{name.strip()}" for name in _SAME.split(","))}
  FROM made, copied
), added_items AS (
  INSERT INTO conversation_items (conversation_id, user_id, {_SAME_OF_ITEM})
  SELECT made.id, made.user_id, {
        ", ".join(f"copied_items.{name.strip()}" for name in _SAME_OF_ITEM.split(","))
    }
  FROM made, copied_items
)
SELECT message_count, forked_at FROM made""",
    timeout=ERASE_TIMEOUT,
)
