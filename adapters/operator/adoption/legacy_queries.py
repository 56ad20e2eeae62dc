"""The queries on tables that somebody made by hand, put together from their quoted identifiers.

Everything comes as text, times as timestamptz: naive ones, and dates, are taken as UTC.
"""

from typing import Final

from chatkeep.domain.operations.adoption.layout import Extra, Kind, Order
from chatkeep.domain.operations.adoption.tables import Layout, OldTable

# Times that Python has no room for, infinite ones among them, come as null and are told of.
_IN_RANGE: Final = "BETWEEN timestamptz '0002-01-01Z' AND timestamptz '9998-12-31Z'"
BAD_IDS_SHOWN: Final = 10


def conversations(layout: Layout) -> str:
    """Return the query for `OldConversation`s, in the order of their ids."""
    old, said = layout.conversations, layout.messages
    ours, theirs = _keys(layout)
    spoken = _time(said, "m", "created_at")
    texts = ("id", "user_id", "title", "status", "metadata")
    return f"""
SELECT {", ".join(f"{_text(old, 'c', field)} AS {field}" for field in texts)},
       {_extra(layout, old, "c")} AS extra,
       {_bounded(_time(old, "c", "created_at"))} AS created_at,
       {_bounded(_time(old, "c", "updated_at"))} AS updated_at,
       {_bad(_time(old, "c", "created_at"))} OR {_bad(_time(old, "c", "updated_at"))} AS bad_time,
       coalesce(said.rows, 0) AS messages, said.first_at, said.last_at
FROM {old.quoted} c
LEFT JOIN (
  SELECT {theirs} AS key, count(*) AS rows, min({_bounded(spoken)}) AS first_at,
         max({_bounded(spoken)}) AS last_at
  FROM {said.quoted} m GROUP BY 1
) AS said ON said.key = {ours}
ORDER BY {ours}"""


def messages(layout: Layout) -> str:
    """Return the query for `OldMessage`s, by conversation in the same order, without orphans."""
    old, said = layout.conversations, layout.messages
    ours, theirs = _keys(layout)
    texts = (
        *("id", "user_id", "role", "content", "tool_calls", "tool_call_id", "name", "metadata"),
    )
    order = [ours, _key(said, "m", "id")]
    if layout.order is Order.TIME:
        order.insert(1, f"m.{said.identifier('created_at')} NULLS FIRST")
    return f"""
SELECT {", ".join(f"{_text(said, 'm', field)} AS {field}" for field in texts)},
       {_extra(layout, said, "m")} AS extra,
       {_bounded(_time(said, "m", "created_at"))} AS created_at,
       {_bad(_time(said, "m", "created_at"))} AS bad_time
FROM {old.quoted} c JOIN {said.quoted} m ON {theirs} = {ours}
ORDER BY {", ".join(order)}"""


def orphans(layout: Layout) -> str:
    """Return the query for the ids of messages that belong to no conversation."""
    ours, theirs = _keys(layout)
    return f"""
SELECT {_text(layout.messages, "m", "id")} AS id FROM {layout.messages.quoted} m
WHERE NOT EXISTS (SELECT FROM {layout.conversations.quoted} c WHERE {ours} = {theirs})"""


def absent_owners(layout: Layout) -> str | None:
    """Return the query for the owners who are not in users; None when no column names owners."""
    old = layout.conversations
    if old.identifier("user_id") is None:
        return None
    owner = _text(old, "c", "user_id")
    return f"""
SELECT DISTINCT {owner} AS id FROM {old.quoted} c
WHERE {owner} <> '' AND NOT EXISTS (SELECT FROM users u WHERE u.id = {owner})"""


def bad_ids(table: OldTable) -> str:
    """Return the query for ids that are null or come more than once."""
    return f"""
SELECT {_text(table, "t", "id")} AS id FROM {table.quoted} t
GROUP BY 1 HAVING count(*) > 1 OR {_text(table, "t", "id")} IS NULL LIMIT {BAD_IDS_SHOWN}"""


def values(table: OldTable, field: str, limit: int) -> str:
    """Return the query for the commonest values of a field, with how many rows have each."""
    return f"""
SELECT {_text(table, "t", field)} AS value, count(*) AS rows FROM {table.quoted} t
GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {limit}"""


def _keys(layout: Layout) -> tuple[str, str]:
    """Return what joins a conversation and its messages, on either side."""
    old, said = layout.conversations, layout.messages
    if old.kind("id") is said.kind("conversation_id"):
        return _key(old, "c", "id"), _key(said, "m", "conversation_id")
    return (
        f'{_text(old, "c", "id")} COLLATE "C"',
        f'{_text(said, "m", "conversation_id")} COLLATE "C"',
    )


def _key(table: OldTable, alias: str, field: str) -> str:
    """Return an id in the order of its type: texts in that of their code points."""
    if table.kind(field) is Kind.TEXT:
        return f'{_text(table, alias, field)} COLLATE "C"'
    return f"{alias}.{table.identifier(field)}"


def _text(table: OldTable, alias: str, field: str) -> str:
    column = table.identifier(field)
    return "NULL::text" if column is None else f"{alias}.{column}::text"


def _time(table: OldTable, alias: str, field: str) -> str:
    column = table.identifier(field)
    if column is None:
        return "NULL::timestamptz"
    if table.kind(field) is Kind.TIME:
        return f"{alias}.{column}"
    return f"({alias}.{column}::timestamp AT TIME ZONE 'UTC')"


def _bounded(time: str) -> str:
    return f"CASE WHEN {time} {_IN_RANGE} THEN {time} END"


def _bad(time: str) -> str:
    return f"({time} IS NOT NULL AND NOT {time} {_IN_RANGE})"


def _extra(layout: Layout, table: OldTable, alias: str) -> str:
    if layout.extra is not Extra.METADATA or not table.columns.extra:
        return "NULL::text"
    columns = ", ".join(
        f"{alias}.{table.identifiers[column.name]}" for column in table.columns.extra
    )
    return f"(SELECT row_to_json(kept)::text FROM (SELECT {columns}) AS kept)"
