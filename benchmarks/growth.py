"""Measures how latency grows with data: the same operation on little data and on much."""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Final

from benchmarks.client import open_client
from benchmarks.fill import Shape, fill
from benchmarks.load import load
from benchmarks.plan import Plan
from benchmarks.planning import CONVERSATION, build_plan, plan
from benchmarks.postgres import Server, measure_disk, vacuum
from benchmarks.programs import (
    CHATKEEP,
    PAGE,
    Conversation,
    Operation,
    appending,
    history,
    listing,
)
from benchmarks.results import Disk, Growth, Load, Ratio
from benchmarks.scale import Scale
from benchmarks.services import Service, running
from benchmarks.speed import create_database, sample

WITHIN_TABLE: Final = 1.2
ACROSS_TABLES: Final = 1.5
ON_BRANCHES: Final = 1.3
_BRANCHES: Final = 50
_SHORT_PAGE: Final = 10
_ACROSS: Final = (Operation.APPEND, Operation.HISTORY, Operation.CONTEXT)


def measure_growth(scale: Scale, server: Server) -> tuple[list[Growth], Disk, str]:
    """Fill a large table and a small one.

    Return the cost of growth, the size on disk and the URL of the large database.
    """
    large = create_database(CHATKEEP, server, "large")
    planned_for = fill(CHATKEEP, large, "plan", scale.plan)
    vacuum(large)
    on_disk = measure_disk(large)

    def fill_large(label: str, shape: Shape) -> list[Conversation]:
        return fill(CHATKEEP, large, label, shape)

    long, short = fill_large("long", scale.long), fill_large("short", scale.short)
    [deep] = fill_large("deep", scale.deep)
    branched, straight = (
        fill_large("branched", scale.branched),
        fill_large("straight", scale.branched),
    )
    many, few = fill_large("many", scale.many), fill_large("few", scale.few)
    vacuum(large)
    small = create_database(CHATKEEP, server, "small")
    in_small = fill(CHATKEEP, small, "small", scale.small_table)
    vacuum(small)
    server.checkpoint()

    found = []
    with ExitStack() as stack:
        one = stack.enter_context(running(CHATKEEP, large))
        other = stack.enter_context(running(CHATKEEP, small))

        def measure(
            name: str, target: float, little: tuple[Service, Plan], much: tuple[Service, Plan]
        ) -> None:
            found.append(_measure(scale, name, target, little, much))

        between = f"conversations of {scale.long.messages:,} messages to 10"
        measure(
            f"append, {between}",
            WITHIN_TABLE,
            (one, plan(CHATKEEP, Operation.APPEND, short)),
            (one, plan(CHATKEEP, Operation.APPEND, long)),
        )
        measure(
            f"history, last {_SHORT_PAGE}, {between}",
            WITHIN_TABLE,
            (one, _plan_latest(short)),
            (one, _plan_latest(long)),
        )
        measure(
            f"list, a user with {scale.many.conversations:,} conversations to 100",
            WITHIN_TABLE,
            (one, plan(CHATKEEP, Operation.LIST, few[:1])),
            (one, plan(CHATKEEP, Operation.LIST, many[:1])),
        )
        first, last = _plan_pages(one, deep, scale.deep_page)
        measure(
            f"history, page {scale.deep_page:,} to page 1", WITHIN_TABLE, (one, first), (one, last)
        )
        for at in branched:
            _answer_again(one, at, straight=False)
        for at in straight:
            _answer_again(one, at, straight=True)
        for operation in (Operation.HISTORY, Operation.CONTEXT):
            measure(
                f"{operation.value}, a conversation of {_BRANCHES} branches to one of none",
                ON_BRANCHES,
                (one, plan(CHATKEEP, operation, straight)),
                (one, plan(CHATKEEP, operation, branched)),
            )
        tables = f"{scale.large_table:,} messages in the table to {scale.small_table.rows:,}"
        for operation in _ACROSS:
            measure(
                f"{operation.value}, {tables}",
                ACROSS_TABLES,
                (other, plan(CHATKEEP, operation, sample(in_small))),
                (one, plan(CHATKEEP, operation, sample(planned_for))),
            )
        measure(
            f"list, latest {_SHORT_PAGE}, {tables}",
            ACROSS_TABLES,
            (other, _plan_lists(sample(in_small))),
            (one, _plan_lists(sample(planned_for))),
        )
    return found, on_disk, large


def _measure(
    scale: Scale,
    name: str,
    target: float,
    little: tuple[Service, Plan],
    much: tuple[Service, Plan],
) -> Growth:
    on_little: list[Load] = []
    on_much: list[Load] = []
    for number in range(scale.growth_rounds):
        warm_up = 0 if number else scale.warm_up
        on_little.append(load(*little, scale.growth_seconds, warm_up=warm_up))
        on_much.append(load(*much, scale.growth_seconds, warm_up=warm_up))
    values = tuple(b.p50 / a.p50 for a, b in zip(on_little, on_much, strict=True))
    return Growth(name, on_little, on_much, Ratio(name, values, at_most=target))


def _answer_again(service: Service, at: Conversation, *, straight: bool) -> None:
    """Append questions with two answers each: the second one on a branch of it, or behind."""
    with open_client(service) as calls:
        for number in range(_BRANCHES - 1):
            [question] = calls.call(appending(at, f"question {number}"))["messages"]
            calls.call(appending(at, f"an answer to {number}"))
            after = None if straight else question["id"]
            calls.call(appending(at, f"another answer to {number}", after=after))


def _plan_latest(conversations: Sequence[Conversation]) -> Plan:
    return build_plan([[history(at, limit=_SHORT_PAGE, order="desc")] for at in conversations])


def _plan_lists(conversations: Sequence[Conversation]) -> Plan:
    calls = [[listing(at, limit=_SHORT_PAGE)] for at in conversations]
    return build_plan(calls, marker=CONVERSATION)


def _plan_pages(service: Service, deep: Conversation, number: int) -> tuple[Plan, Plan]:
    """Return the plans for page 1 and for page `number`, found by reading the pages between."""
    first = page = history(deep, limit=PAGE, order="asc")
    with open_client(service) as calls:
        for _ in range(number - 1):
            cursor = calls.call(page)["next_cursor"]
            page = history(deep, limit=PAGE, order="asc", cursor=cursor)
    return build_plan([[first]]), build_plan([[page]])
