"""The SQL of pages and windows of a branch, and of the place of an append."""

from collections.abc import Iterable, Mapping
from itertools import product
from typing import Final

from chatkeep.adapters.piccolo.log_pages import COLUMNS, MESSAGES, PAGE, PAGE_ENDS, POSITIONS
from chatkeep.adapters.piccolo.paths import OF_HERE, SPANS, Way
from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.adapters.piccolo.window_statements import (
    HAS_START,
    LATEST,
    NAMES_OF_END,
    OF_END,
    OF_WINDOW,
    OPENING,
    OTHER_ROLE,
)
from chatkeep.domain.log import View
from chatkeep.domain.model import LAST_POSITION, Order
from chatkeep.domain.window import MAX_HEAD, MOST_COUNTED

_B: Final = "b.conversation_id = :conversation_id AND b.user_id = :user_id"
_M: Final = "m.conversation_id = :conversation_id AND m.user_id = :user_id"


def _first(
    columns: str, order: Order, *, condition: str = "", limit: str = "1", up_to: str = ""
) -> str:
    """Return the query for the first messages on the path in an order, with a condition on `m`.

    `columns` are of `m`, and start with its position. `up_to` is the last position.
    """
    where = condition and f" AND {condition}"
    high, behind = "high", ""
    if up_to:
        high, behind = f"least(high, {up_to}) AS high", f" WHERE low <= {up_to}"
    return f"""
    SELECT h.* FROM (SELECT low, {high} FROM spans{behind} ORDER BY low {order.value}) AS span
    CROSS JOIN LATERAL (
      SELECT {columns} FROM messages m
      WHERE {_M} AND m.position BETWEEN span.low AND span.high{where}
      ORDER BY m.position {order.value} LIMIT {limit}
    ) AS h
    ORDER BY span.low {order.value}, h.position {order.value} LIMIT {limit}"""


def _rows(view: View, order: Order) -> str:
    """Return the query for the first entries of a view in `span`."""
    of = COLUMNS[view]
    messages = f"""
    SELECT {of.message}, {of.message_bytes} AS bytes FROM messages m
    WHERE {_M} AND m.position BETWEEN span.low AND span.high
    ORDER BY m.position {order.value} LIMIT :limit"""
    if of.item is None:
        return messages
    return f"""({messages}
  ) UNION ALL (
    SELECT {of.item}, {of.item_bytes} FROM conversation_items i
    WHERE i.conversation_id = :conversation_id AND i.user_id = :user_id
      AND i.position BETWEEN span.low AND span.high
    ORDER BY i.position {order.value} LIMIT :limit
  ) ORDER BY position {order.value} LIMIT :limit"""


_Kind = tuple[View, Order, str]
"""A view, an order, and a kind of bounds."""


def _path_page(view: View, order: Order, bounds: str, way: Way) -> str:
    """Return the query for a page of the path of a branch.

    If it is walked, each row has the branch that wrote it, and the message before the page's start.
    """
    ends = PAGE_ENDS[order, bounds]
    names = ", ".join(f"entry.{name}" for name in (*COLUMNS[view].names, "bytes"))
    number = spans_number = writer = earlier = ""
    if way is Way.WALKED:
        number, spans_number = ", span.number", "spans.number, "
        writer = (
            "page.number AS writer, earlier.id AS earlier_id, earlier.text_id AS earlier_text, "
        )
        last = _first("m.position, m.id, m.text_id", Order.DESC, up_to=ends.after)
        earlier = f"""
LEFT JOIN LATERAL ({last}
) AS earlier ON true"""
    return f"""{SPANS[way]}
SELECT {OF_HERE}, here.revision, {ends.found}{writer}{COLUMNS[view].of_page()}
FROM here{ends.places}{earlier}
LEFT JOIN LATERAL (
  SELECT {names}{number} FROM (
    SELECT {spans_number}greatest(spans.low, {ends.after} + 1) AS low,
           least(spans.high, {ends.before} - 1) AS high
    FROM spans WHERE spans.high > {ends.after} AND spans.low < {ends.before}
    ORDER BY low {order.value}
  ) AS span CROSS JOIN LATERAL ({_rows(view, order)}
  ) AS entry
  ORDER BY span.low {order.value}, entry.position {order.value} LIMIT :limit
) AS page ON true
ORDER BY page.position {order.value}"""


def _pages(name: str, way: Way, keys: Iterable[_Kind]) -> Mapping[_Kind, Statement]:
    return {key: Statement(f"log.{name}.{'.'.join(key)}", _path_page(*key, way)) for key in keys}


PATH_PAGE: Final = _pages("path_page", Way.STORED, PAGE)
DEEP_PAGE: Final = _pages("deep_page", Way.DEEP, PAGE)
BRANCH_PAGE: Final = _pages(
    "branch_page",
    Way.WALKED,
    product((View.MESSAGES, View.ORIGINALS), Order, (POSITIONS, MESSAGES)),
)
"""Pages of a branch that say for each message what comes before it, and who wrote it."""


def _counted(condition: str, limit: str) -> str:
    """Return an expression for the number of messages on the path, up to a limit."""
    return f"""(
      SELECT count(*) FROM (
        SELECT FROM spans CROSS JOIN LATERAL (
          SELECT FROM messages m
          WHERE {_M} AND m.position BETWEEN spans.low AND spans.high AND {condition} LIMIT {limit}
        ) AS found LIMIT {limit}
      ) AS counted)"""


# Whether any message of the conversation starts a context is looked up once, not for each range.
_START: Final = f"""start AS (
  SELECT h.* FROM (
    SELECT low, high FROM spans
    WHERE EXISTS (SELECT 1 FROM messages m WHERE {_M} AND m.starts_context)
    ORDER BY low DESC
  ) AS span CROSS JOIN LATERAL (
    SELECT {OF_END} FROM messages m
    WHERE {_M} AND m.starts_context AND m.position BETWEEN span.low AND span.high
    ORDER BY m.position DESC LIMIT 1
  ) AS h
  ORDER BY span.low DESC LIMIT 1
)"""


def _path_window(name: str, way: Way, *, start: bool) -> Statement:
    """Return the window of a branch, with the message where its context starts or without.

    The latest are one more than the limit: so it is known whether there are others. Without the
    `start` it is only said whether any message of the conversation is one: each part of a plan
    takes time, also one that is not executed.
    """
    opening = _first(
        OF_END,
        Order.ASC,
        limit=str(MAX_HEAD),
        up_to=f"coalesce((SELECT position - 1 FROM other), {LAST_POSITION})",
    )
    latest = _first(OF_END, Order.DESC, limit=":limit::bigint + 1")
    has_start, found, part = f"{HAS_START}, ", "", ""
    if start:
        before = _counted("m.position < start.position", str(MOST_COUNTED))
        behind = _counted("m.position > start.position", ":limit::bigint + 1")
        has_start, found = "", f", {_START}"
        part = f"""
  UNION ALL
  (SELECT 2 * {before}::int + ({behind} > :limit)::int, {NAMES_OF_END} FROM start)"""
    return Statement(
        f"log.{name}",
        f"""{SPANS[way]}, other AS ({_first("m.position", Order.ASC, condition=OTHER_ROLE)}
){found}
SELECT {OF_HERE}, here.revision, {has_start}{OF_WINDOW}
FROM here
LEFT JOIN LATERAL (
  (SELECT {OPENING} AS part, {NAMES_OF_END} FROM ({opening}
  ) AS opening)
  UNION ALL
  (SELECT {LATEST}, {NAMES_OF_END} FROM ({latest}
  ) AS latest){part}
) AS ends ON true
ORDER BY ends.position""",
    )


PATH_WINDOW: Final = _path_window("path_window", Way.STORED, start=False)
DEEP_WINDOW: Final = _path_window("deep_window", Way.DEEP, start=True)


_WROTE: Final = f"""EXISTS (
     SELECT 1 FROM place, unnest(b.firsts, b.lasts) AS span (low, high)
     WHERE place.position BETWEEN span.low AND coalesce(span.high, {LAST_POSITION}))"""

# What an append at a place needs: the current branch, the one that wrote the message, the one with
# a number, and the one with the highest number; and where the first two end.
PLACE: Final = Statement(
    "branches.place",
    f"""{SPANS[Way.DEEP]}, place AS (
  SELECT m.position FROM messages m
  WHERE m.id = :message_id::uuid AND m.user_id = :user_id AND m.conversation_id = :conversation_id
)
SELECT c.branch, c.retain, c.revision, c.last_position, c.message_count, c.created_at AS began,
       (SELECT position FROM place) AS place,
       (SELECT tip.position FROM ({_first("m.position", Order.DESC)}
       ) AS tip) AS current_tip,
       (SELECT count(*) FROM conversation_branches b WHERE {_B}) AS branches,
       b.number, b.parent, b.left_at, b.name, b.created_at,
       b.firsts::text[] AS firsts, b.lasts::text[] AS lasts,
       b.path_firsts::text[] AS path_firsts, b.path_lasts::text[] AS path_lasts,
       b.wrote, CASE WHEN b.wrote THEN (
         SELECT latest.position FROM (
           SELECT low, coalesce(high, {LAST_POSITION}) AS high
           FROM unnest(b.firsts, b.lasts) AS span (low, high) ORDER BY low DESC
         ) AS span CROSS JOIN LATERAL (
           SELECT m.position FROM messages m
           WHERE {_M} AND m.position BETWEEN span.low AND span.high
           ORDER BY m.position DESC LIMIT 1
         ) AS latest
         ORDER BY span.low DESC LIMIT 1) END AS tip
FROM conversations c
LEFT JOIN LATERAL (
  SELECT b.*, {_WROTE} AS wrote FROM conversation_branches b
  WHERE {_B} AND (
    b.number IN (c.branch, :number::int, (
      SELECT b.number FROM conversation_branches b WHERE {_B} ORDER BY b.number DESC LIMIT 1))
    OR (b.firsts[1] <= (SELECT position FROM place) AND {_WROTE}))
) AS b ON c.branch IS NOT NULL
WHERE c.id = :conversation_id AND c.user_id = :user_id
ORDER BY b.number""",
)
