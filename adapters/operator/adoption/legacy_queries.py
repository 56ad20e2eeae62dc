"""Builds queries on legacy tables from their quoted identifiers.

All values come as text, but times as timestamptz: naive times and dates are taken as UTC.
"""

from typing import Final

from chatkeep.domain.operations.adoption.layout import (
    TEXT_FIELDS,
    ColumnKind,
    Entity,
    ExtraColumns,
    MessageOrder,
)
from chatkeep.domain.operations.adoption.tables import Layout, LegacyTable

# Times outside `datetime`'s range, including ±infinity, are read as NULL and reported.
_IN_RANGE: Final = "BETWEEN timestamptz '0002-01-01Z' AND timestamptz '9998-12-31Z'"
BAD_IDS_SHOWN: Final = 10


def conversations_query(layout: Layout) -> str:
    """Return the query for `LegacyConversation`s, in the order of their ids."""
    conversations, messages = layout.conversations, layout.messages
    id_key, foreign_key = _keys(layout)
    created_at, updated_at = (
        _time(conversations, "c", field) for field in ("created_at", "updated_at")
    )
    sent_at = _time(messages, "m", "created_at")
    return f"""
SELECT {_texts("conversations", conversations, "c")},
       {_extra(layout, conversations, "c")} AS extra,
       {_bound_time(created_at)} AS created_at,
       {_bound_time(updated_at)} AS updated_at,
       {_bad(created_at)} OR {_bad(updated_at)} AS bad_time,
       coalesce(counted.rows, 0) AS messages, counted.first_at, counted.last_at
FROM {conversations.quoted} c
LEFT JOIN (
  SELECT {foreign_key} AS key, count(*) AS rows, min({_bound_time(sent_at)}) AS first_at,
         max({_bound_time(sent_at)}) AS last_at
  FROM {messages.quoted} m GROUP BY 1
) AS counted ON counted.key = {id_key}
ORDER BY {id_key}"""


def messages_query(layout: Layout) -> str:
    """Return the query for `LegacyMessage`s, by conversation in the same order, without orphans."""
    conversations, messages = layout.conversations, layout.messages
    id_key, foreign_key = _keys(layout)
    order = [id_key, _key(messages, "m", "id")]
    if layout.order is MessageOrder.TIME:
        order.insert(1, f"m.{messages.identifier('created_at')} NULLS FIRST")
    return f"""
SELECT {_texts("messages", messages, "m")},
       {_extra(layout, messages, "m")} AS extra,
       {_bound_time(_time(messages, "m", "created_at"))} AS created_at,
       {_bad(_time(messages, "m", "created_at"))} AS bad_time
FROM {conversations.quoted} c JOIN {messages.quoted} m ON {foreign_key} = {id_key}
ORDER BY {", ".join(order)}"""


def orphans_query(layout: Layout) -> str:
    """Return the query for the ids of messages without a conversation."""
    id_key, foreign_key = _keys(layout)
    return f"""
SELECT {_text(layout.messages, "m", "id")} AS id FROM {layout.messages.quoted} m
WHERE NOT EXISTS (SELECT FROM {layout.conversations.quoted} c WHERE {id_key} = {foreign_key})"""


def missing_owners_query(layout: Layout) -> str | None:
    """Return the query for owners who are not in users; None if no column names owners."""
    conversations = layout.conversations
    if conversations.identifier("user_id") is None:
        return None
    owner = _text(conversations, "c", "user_id")
    return f"""
SELECT DISTINCT {owner} AS id FROM {conversations.quoted} c
WHERE {owner} <> '' AND NOT EXISTS (SELECT FROM users u WHERE u.id = {owner})"""


def bad_ids_query(table: LegacyTable) -> str:
    """Return the query for ids that are null or not unique."""
    return f"""
SELECT {_text(table, "t", "id")} AS id FROM {table.quoted} t
GROUP BY 1 HAVING count(*) > 1 OR {_text(table, "t", "id")} IS NULL LIMIT {BAD_IDS_SHOWN}"""


def values_query(table: LegacyTable, field: str, limit: int) -> str:
    """Return the query for the most frequent values of a field, with the number of rows."""
    return f"""
SELECT {_text(table, "t", field)} AS value, count(*) AS rows FROM {table.quoted} t
GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {limit}"""


def _keys(layout: Layout) -> tuple[str, str]:
    """Return the two expressions that join conversations `c` and messages `m`."""
    conversations, messages = layout.conversations, layout.messages
    if conversations.kind("id") is messages.kind("conversation_id"):
        return _key(conversations, "c", "id"), _key(messages, "m", "conversation_id")
    return (
        f'{_text(conversations, "c", "id")} COLLATE "C"',
        f'{_text(messages, "m", "conversation_id")} COLLATE "C"',
    )


def _key(table: LegacyTable, alias: str, field: str) -> str:
    """Return an id that sorts by its type; texts sort by code points."""
    if table.kind(field) is ColumnKind.TEXT:
        return f'{_text(table, alias, field)} COLLATE "C"'
    return f"{alias}.{table.identifier(field)}"


def _texts(entity: Entity, table: LegacyTable, alias: str) -> str:
    return ", ".join(f"{_text(table, alias, field)} AS {field}" for field in TEXT_FIELDS[entity])


def _text(table: LegacyTable, alias: str, field: str) -> str:
    column = table.identifier(field)
    return "NULL::text" if column is None else f"{alias}.{column}::text"


def _time(table: LegacyTable, alias: str, field: str) -> str:
    column = table.identifier(field)
    if column is None:
        return "NULL::timestamptz"
    if table.kind(field) is ColumnKind.TIME:
        return f"{alias}.{column}"
    return f"({alias}.{column}::timestamp AT TIME ZONE 'UTC')"


def _bound_time(time: str) -> str:
    return f"CASE WHEN {time} {_IN_RANGE} THEN {time} END"


def _bad(time: str) -> str:
    return f"({time} IS NOT NULL AND NOT {time} {_IN_RANGE})"


def _extra(layout: Layout, table: LegacyTable, alias: str) -> str:
    if layout.extra is not ExtraColumns.METADATA or not table.columns.extra:
        return "NULL::text"
    columns = ", ".join(
        f"{alias}.{table.identifiers[column.name]}" for column in table.columns.extra
    )
    return f"(SELECT row_to_json(kept)::text FROM (SELECT {columns}) AS kept)"
