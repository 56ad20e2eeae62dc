"""The SQL of the log, except for pages (`log_pages.py`) and appends (`log_append_statements.py`).

Each statement is one round trip and names the user for every table. An entry that is a message is a
row of `messages`, with the text of an item if it was sent as one; any other entry is a row of
`conversation_items`. Both get their positions from the row of their conversation. Only the modules
`log*.py` know that there are two tables.
"""

from typing import Final

from chatkeep.adapters.piccolo.bounds import WHOLE_TEXTS, whole_bytes, within
from chatkeep.adapters.piccolo.change_statements import (
    messages_deleted,
)
from chatkeep.adapters.piccolo.log_append_statements import TAKEN_IDS
from chatkeep.adapters.piccolo.rows import (
    message_columns,
    selected_columns,
)
from chatkeep.adapters.piccolo.statement import Statement

_M: Final = "m.conversation_id = :conversation_id AND m.user_id = :user_id"
_I: Final = "i.conversation_id = :conversation_id AND i.user_id = :user_id"

_THE_MESSAGE: Final = (
    "FROM messages m "
    "WHERE m.id = :message_id AND m.user_id = :user_id AND m.conversation_id = :conversation_id"
)
GET: Final = Statement("log.get", f"SELECT {message_columns('m')} {_THE_MESSAGE}")
GET_WHOLE: Final = Statement(
    "log.get_whole", f"SELECT {message_columns('m')}, m.original {_THE_MESSAGE}"
)

_OF_FOUND: Final = f"found.conversation_id, {selected_columns('found')}, found.original"

# A row larger than `share` comes without its texts: it differs from all that it is compared with.
STORED: Final = Statement(
    "log.stored",
    f"""
SELECT {within(":share::bigint", _OF_FOUND, WHOLE_TEXTS)} FROM (
  SELECT m.conversation_id, {message_columns("m")}, m.original,
         {whole_bytes("m", ":share::bigint")} AS bytes
  FROM messages m
  WHERE m.id = ANY(:ids::text[]::uuid[]) AND m.user_id = :user_id
) AS found""",
)

COUNT: Final = Statement(
    "log.count",
    "SELECT message_count, revision, branch FROM conversations "
    "WHERE id = :conversation_id AND user_id = :user_id",
)

TAKEN: Final = Statement("log.taken", TAKEN_IDS)

KEY: Final = Statement(
    "log.key",
    """
SELECT k.digest, k.first_position, k.last_position FROM conversation_keys k
WHERE k.conversation_id = :conversation_id AND k.user_id = :user_id AND k.key = :key""",
)

# The calls with these ids in the last messages before a position, in order; of calls with the same
# id in one message the first counts.
CALLS_BEFORE: Final = Statement(
    "log.calls_before",
    f"""
SELECT call.value ->> 'id' AS id, call.value ->> 'type' = 'custom' AS is_custom
FROM (
  SELECT m.position, m.tool_calls FROM messages m
  WHERE {_M} AND m.position < :position
  ORDER BY m.position DESC LIMIT :limit
) AS recent
CROSS JOIN LATERAL jsonb_path_query(recent.tool_calls, 'strict $[*] ? (
  @.type == "function" && @.function.name.type() == "string" && @.function.name != ""
    && @.function.arguments.type() == "string"
  || @.type == "custom" && @.custom.name.type() == "string" && @.custom.name != ""
    && @.custom.input.type() == "string")', '{{}}', true) WITH ORDINALITY AS call (value, n)
WHERE jsonb_typeof(recent.tool_calls) = 'array' AND call.value ->> 'id' = ANY(:ids::text[])
ORDER BY recent.position, call.n DESC""",
)


def _delete(message: str, item: str = "") -> str:
    """Return the statement that deletes the message of a condition, or else the item.

    It locks the conversation first, like an append or the deletion of a conversation, so that they
    cannot deadlock.
    """
    gone = gone_any = "EXISTS (SELECT 1 FROM gone)"
    may = "NOT locked.retain AND (:expected::bigint IS NULL OR locked.revision = :expected)"
    there = f"EXISTS (SELECT 1 FROM messages m WHERE {_M} AND {message})"
    gone_item = ""
    if item:
        gone_item = f""", gone_item AS (
  DELETE FROM conversation_items i USING locked
  WHERE {item} AND i.user_id = :user_id AND i.conversation_id = locked.id AND {may}
  RETURNING i.position
)"""
        gone_any += " OR EXISTS (SELECT 1 FROM gone_item)"
        there += f" OR EXISTS (SELECT 1 FROM conversation_items i WHERE {_I} AND {item})"
    return f"""
WITH locked AS (
  SELECT id, retain, revision FROM conversations
  WHERE id = :conversation_id AND user_id = :user_id FOR UPDATE
), gone AS (
  DELETE FROM messages m USING locked
  WHERE {message} AND m.user_id = :user_id AND m.conversation_id = locked.id AND {may}
  RETURNING m.position, m.id, m.text_id
){gone_item}, noted AS ({messages_deleted("locked", "locked.revision + 1")}
), counted AS (
  UPDATE conversations
  SET message_count = message_count - {gone}::int, revision = revision + 1
  WHERE id = :conversation_id AND user_id = :user_id AND ({gone_any})
)
SELECT locked.retain, locked.revision, {gone_any} AS gone FROM locked
WHERE {gone_any} OR {there}"""


DELETE: Final = Statement("log.delete", _delete("m.id = :message_id"))
DELETE_AT: Final = Statement(
    "log.delete_at", _delete("m.position = :position", "i.position = :position")
)
