"""The SQL of windows: both ends of a conversation or of a branch, and where its context starts."""

from typing import Final

from chatkeep.adapters.piccolo.bounds import (
    WHOLE_TEXTS,
    window_bytes,
    window_original,
    within,
)
from chatkeep.adapters.piccolo.rows import MESSAGE_COLUMNS, message_columns, selected_columns
from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.domain.model import LAST_POSITION
from chatkeep.domain.window import MAX_HEAD

OPENING: Final = -2
LATEST: Final = -1
"""The `part` of rows from the ends.

That of the message which starts the context has two numbers, for each column of a row takes time:
twice the number of messages before it, and 1 if there are others between it and the latest.
"""

_M: Final = "m.conversation_id = :conversation_id AND m.user_id = :user_id"
OTHER_ROLE: Final = "m.role NOT IN ('system', 'developer')"
OF_END: Final = (
    f"{message_columns('m')}, {window_original('m')} AS original, "
    f"{window_bytes('m', ':share::bigint')} AS bytes"
)
NAMES_OF_END: Final = ", ".join((*MESSAGE_COLUMNS, "original", "bytes"))

OF_WINDOW: Final = within(
    ":share::bigint", f"ends.part, {selected_columns('ends')}, ends.original", WHOLE_TEXTS
)

ENDS: Final = f"""(
  SELECT {OPENING} AS part, {OF_END} FROM messages m
  WHERE {_M} AND m.position < coalesce((
    SELECT m.position FROM messages m WHERE {_M} AND {OTHER_ROLE}
    ORDER BY m.position LIMIT 1), {LAST_POSITION})
  ORDER BY m.position LIMIT {MAX_HEAD}
) UNION ALL (
  SELECT {LATEST}, {OF_END} FROM messages m WHERE {_M} ORDER BY m.position DESC LIMIT :limit
)"""
"""The ends of a conversation without branches."""

HAS_START: Final = f"EXISTS (SELECT 1 FROM messages m WHERE {_M} AND m.starts_context) AS has_start"
"""Whether a context starts anywhere: few conversations pay for finding out where."""

WINDOW: Final = Statement(
    "log.window",
    f"""
SELECT c.message_count, c.revision, {HAS_START}, {OF_WINDOW}
FROM conversations c
LEFT JOIN LATERAL (
{ENDS}
) AS ends ON true
WHERE c.id = :conversation_id AND c.user_id = :user_id AND c.branch IS NULL
ORDER BY ends.position""",
)
