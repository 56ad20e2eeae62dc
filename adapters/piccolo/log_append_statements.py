"""The SQL that adds to the log: appends, the ends of drafts, and new conversations.

Statements are assembled from fragments, one text for each combination of options: Postgres does not
plan parts that a call does not need.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from chatkeep.adapters.piccolo.branch_statements import SAVE_BRANCHES, UNCHANGED
from chatkeep.adapters.piccolo.change_statements import (
    conversation_updated,
)
from chatkeep.adapters.piccolo.draft_statements import ENDED, HELD, draft_columns
from chatkeep.adapters.piccolo.rows import (
    ITEM_MESSAGE_COLUMNS,
    MESSAGE_TYPES,
    PLAIN_COLUMNS,
    array_parameters,
)
from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.adapters.piccolo.window_statements import ENDS, HAS_START, OF_WINDOW

_M: Final = "m.conversation_id = :conversation_id AND m.user_id = :user_id"
_I: Final = "i.conversation_id = :conversation_id AND i.user_id = :user_id"

_ITEM: Final = "item_id, item"


def _many(columns: Collection[str]) -> str:
    """Return the messages of a batch. `n` is the index in the batch, from 1.

    There is one array per column, so that the statement's text and plan are the same for a batch of
    any size.
    """
    return f"unnest({array_parameters(columns)}) WITH ORDINALITY AS given ({', '.join(columns)}, n)"


def _one(columns: Collection[str]) -> str:
    """Return the only message of a batch, as most have one.

    With arrays of one element Postgres takes a fifth longer.
    """
    values = ", ".join(f":{name}::{MESSAGE_TYPES[name]}" for name in columns)
    return f"(VALUES ({values}, 1)) AS given ({', '.join(columns)}, n)"


def _some(columns: Collection[str]) -> str:
    """Return the messages of a batch that may have been sent as items, with these columns."""
    return (
        f"unnest({array_parameters(columns)}, "
        ":item_id::text[], :item::text[]::json[], :n::text[]::bigint[]) "
        f"AS given ({', '.join(columns)}, {_ITEM}, n)"
    )


# The items of other kinds.
_OTHERS: Final = (
    "unnest(:other_item_id::text[], :other_item::text[]::json[], "
    ":other_created_at::text[]::timestamptz[], :other_n::text[]::bigint[]) "
    f"AS given ({_ITEM}, created_at, n)"
)


def _moved(condition: str = "", change: str = "") -> str:
    """Return the fragment that locks the conversation's row and reserves positions."""
    return f"""moved AS (
  UPDATE conversations
  SET message_count = message_count + :messages,
      last_position = greatest(:first, last_position + 1) + :entries - 1,
      updated_at = greatest(:at, updated_at), revision = revision + 1{change}
  WHERE id = :conversation_id AND user_id = :user_id{condition}
  RETURNING id, user_id, message_count, revision, branch,
            (last_position - :entries + 1)::bigint AS first, last_position AS last
)"""


# The places of new entries: of an append from the row that it moves, of a create from its call.
_OF_MOVED: Final = ("moved.id", "moved.user_id", "moved.first", "moved.last", "moved")
_FIRST: Final = ":first::bigint"
_OF_CALL: Final = (":conversation_id", ":user_id", _FIRST, f"{_FIRST} + :entries - 1", "")


def _made(*, branch: bool = False) -> str:
    """Return the fragment that stores the conversation's row."""
    return f"""provisioned AS (
  INSERT INTO users (id) SELECT :user_id WHERE :provision ON CONFLICT DO NOTHING
), made AS (
  INSERT INTO conversations (id, text_id, user_id, title, status, metadata, created_at, updated_at,
                             retain, revision, message_count, last_position{
        ", branch, forked_from, forked_at" if branch else ""
    })
  VALUES (:conversation_id, :conversation_text_id, :user_id, :title, :status,
          :conversation_metadata, :conversation_created_at, :at, :retain, :revision, :messages,
          CASE WHEN :entries > 0 THEN :first::bigint + :entries - 1 ELSE 0 END{
        ", :branch, :forked_from, :forked_at" if branch else ""
    }){" RETURNING id, user_id" if branch else ""}
)"""


def _messages(given: str, places: tuple[str, ...], columns: Collection[str]) -> str:
    """Return the statement that stores the messages of a batch, at `places`."""
    conversation, user, first, _, moved = places
    names = [column for column in columns if column != "created_at"]
    values = ", ".join(f"given.{name}" for name in names)
    at = "coalesce(given.created_at, :at)" if "created_at" in columns else ":at"
    return f"""
  INSERT INTO messages (conversation_id, user_id, position, {", ".join(names)}, created_at)
  SELECT {conversation}, {user}, {first} + n - 1, {values}, {at}
  FROM {", ".join(filter(None, (moved, given)))}"""


def _others(places: tuple[str, ...]) -> str:
    """Return the statement that stores the entries of a batch that are not messages."""
    conversation, user, first, _, moved = places
    return f"""
  INSERT INTO conversation_items (conversation_id, user_id, position, {_ITEM}, created_at)
  SELECT {conversation}, {user}, {first} + n - 1, given.item_id, given.item,
         coalesce(given.created_at, :at)
  FROM {", ".join(filter(None, (moved, _OTHERS)))}"""


def _key(places: tuple[str, ...]) -> str:
    """Return the statement that stores the key of a request, if it has one."""
    conversation, user, first, last, moved = places
    return f"""
  INSERT INTO conversation_keys
    (conversation_id, user_id, key, digest, first_position, last_position, created_at)
  SELECT {conversation}, {user}, :key, :digest, {first}, {last}, :at
  {f"FROM {moved}" if moved else ""} WHERE :key::text IS NOT NULL"""


def _sent(places: tuple[str, ...], columns: Collection[str] = MESSAGE_TYPES) -> str:
    """Return the statement that stores messages that may have been sent as items."""
    return _messages(_some(columns), places, (*columns, "item_id", "item"))


# Those of the item ids that an item of the conversation has. `in_messages` are the messages of
# generated ids, which are not stored. There is one index probe for each: with a single condition
# for all, the planner prefers to read the whole conversation.
TAKEN_IDS: Final = f"""
  SELECT sought.id
  FROM unnest(:ids::text[], :in_messages::text[]::uuid[]) AS sought (id, message_id)
  CROSS JOIN LATERAL (
    (SELECT FROM conversation_items i WHERE {_I} AND i.item_id = sought.id LIMIT 1)
    UNION ALL
    (SELECT FROM messages m WHERE {_M} AND m.item_id = sought.id LIMIT 1)
    UNION ALL
    (SELECT FROM messages m
     WHERE m.id = sought.message_id AND m.user_id = :user_id
       AND m.conversation_id = :conversation_id AND m.item_id IS NULL LIMIT 1)
  ) AS found"""
_FREE: Final = f" AND NOT EXISTS ({TAKEN_IDS})"
# Postgres checks it again for the row that another statement has just changed.
_EXPECTED: Final = " AND (:expected::bigint IS NULL OR revision = :expected)"

# An append at a place may make another branch the current one.
_SWITCHED: Final = conversation_updated("moved", ":switches::boolean")

_POSITIONS: Final = "SELECT message_count, revision, first, branch FROM moved"


# A statement reads the state before it: the old messages and the old count.
_POSITIONS_AND_ENDS: Final = f"""
SELECT moved.message_count, moved.revision, moved.first, moved.branch,
       before.message_count AS count_before, {HAS_START},
       {OF_WINDOW}
FROM moved
JOIN conversations before ON before.id = :conversation_id AND before.user_id = :user_id
LEFT JOIN LATERAL (
{ENDS}
) AS ends ON before.branch IS NULL
ORDER BY ends.position"""


def _append(columns: Collection[str], *, one: bool, window: bool = False) -> str:
    given = (_one if one else _many)(columns)
    added = f"WITH {_moved()}, added AS ({_messages(given, _OF_MOVED, columns)}\n)"
    return f"{added}{_POSITIONS_AND_ENDS}" if window else f"{added} {_POSITIONS}"


def _append_items(
    condition: str = "",
    *,
    key: bool = False,
    columns: Collection[str] = ITEM_MESSAGE_COLUMNS,
    placed: bool = False,
) -> str:
    keyed = f", keyed AS ({_key(_OF_MOVED)}\n)" if key else ""
    change = ""
    if placed:
        keyed += f", branched AS ({SAVE_BRANCHES}\n)"
        keyed += f", noted AS ({_SWITCHED}\n)"
        condition, change = UNCHANGED + condition, ", branch = :branch"
    return f"""
WITH {_moved(condition, change)}, added AS ({_sent(_OF_MOVED, columns)}
), kept AS ({_others(_OF_MOVED)}
){keyed}
{_POSITIONS}"""


@dataclass(frozen=True, slots=True)
class Appends:
    """The statements that append messages with the same columns: one or many of them.

    Those for a `window` return it too.
    """

    columns: Collection[str]
    one: Statement
    many: Statement
    one_window: Statement
    many_window: Statement


def _appends(columns: Collection[str], suffix: str = "") -> Appends:
    return Appends(
        columns,
        Statement(f"log.append_one{suffix}", _append(columns, one=True)),
        Statement(f"log.append{suffix}", _append(columns, one=False)),
        Statement(f"log.append_one_window{suffix}", _append(columns, one=True, window=True)),
        Statement(f"log.append_window{suffix}", _append(columns, one=False, window=True)),
    )


APPEND_PLAIN: Final = _appends(PLAIN_COLUMNS)
APPEND_WHOLE: Final = _appends(MESSAGE_TYPES, "_whole")
# Appends of items: without ids to store, with ids, and with a key.
APPEND_ITEMS: Final = Statement("log.append_items", _append_items())
APPEND_ITEMS_WITH_IDS: Final = Statement("log.append_items_with_ids", _append_items(_FREE))
APPEND_ITEMS_WITH_KEY: Final = Statement(
    "log.append_items_with_key", _append_items(_FREE, key=True)
)
# Appends with messages that have more fields than the message of an item, and those that expect a
# revision.
APPEND_MIXED: Final = Statement(
    "log.append_mixed", _append_items(_FREE + _EXPECTED, key=True, columns=MESSAGE_TYPES)
)

# Appends at a place, which may start a branch or make another one the current one.
APPEND_PLACED: Final = Statement(
    "log.append_placed", _append_items(_FREE, key=True, columns=MESSAGE_TYPES, placed=True)
)


def _end_draft(condition: str = "", change: str = "", branched: str = "") -> str:
    """Return the statement that ends a draft and appends its message.

    It does nothing if the draft has changed, and fails if the id of the message is taken.
    """
    moved = _moved(f" AND EXISTS (SELECT 1 FROM held){condition}", change)
    return f"""
WITH {HELD}, {moved}, added AS (
  {_messages(_one(MESSAGE_TYPES), _OF_MOVED, MESSAGE_TYPES)}
){branched}, ended AS (
  UPDATE drafts d
  SET {ENDED}, message_id = :id, message_text_id = :text_id, position = moved.first
  FROM moved
  WHERE d.user_id = :user_id AND d.conversation_id = :conversation_id AND d.number = :number
  RETURNING {draft_columns("d")}
)
SELECT moved.first, moved.message_count, moved.revision, moved.branch, {draft_columns("ended")}
FROM moved, ended"""


END_DRAFT: Final = Statement("log.end_draft", _end_draft())
END_DRAFT_PLACED: Final = Statement(
    "log.end_draft_placed",
    _end_draft(
        UNCHANGED,
        ", branch = :branch",
        f", branched AS ({SAVE_BRANCHES}\n), noted AS ({_SWITCHED}\n)",
    ),
)

CREATE: Final = Statement(
    "log.create",
    f"WITH {_made()} {_messages(_many(PLAIN_COLUMNS), _OF_CALL, PLAIN_COLUMNS)}",
)
CREATE_WHOLE: Final = Statement(
    "log.create_whole",
    f"WITH {_made()} {_messages(_many(MESSAGE_TYPES), _OF_CALL, MESSAGE_TYPES)}",
)
CREATE_WITH_BRANCHES: Final = Statement(
    "log.create_with_branches",
    f"""
WITH {_made(branch=True)}, moved AS (SELECT made.id, made.user_id FROM made
), kept AS ({_others(_OF_CALL)}
), keyed AS ({_key(_OF_CALL)}
), branched AS ({SAVE_BRANCHES}
) {_sent(_OF_CALL)}""",
)
CREATE_WITH_ITEMS: Final = Statement(
    "log.create_with_items",
    f"""
WITH {_made()}, kept AS ({_others(_OF_CALL)}
), keyed AS ({_key(_OF_CALL)}
) {_sent(_OF_CALL)}""",
)
