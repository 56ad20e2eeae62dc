"""`chatkeep stats`: what the database contains, its growth, and when a storage plan is full."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import click
import msgspec

from chatkeep.domain.operations.stats import COUNTED_UP_TO, Count, Stats, StatsOptions
from chatkeep.entrypoints import setting_values
from chatkeep.entrypoints.bootstrap import operator
from chatkeep.entrypoints.cli.options import on_database
from chatkeep.entrypoints.visible import visible

_LONGEST_QUERY: Final = 100
_SHORTEST_BAR: Final = 1
_LONGEST_BAR: Final = 30


class Size(click.ParamType[int]):
    """Bytes, as 512MB or 10 GiB; units are of 1024, as Postgres and Neon count."""

    name = "size"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        try:
            size = setting_values.parse_size(str(value).strip())
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if not size:
            self.fail("a plan must not be empty; use a size such as 512MB, or bytes", param, ctx)
        return size


@click.command()
@click.option(
    "--plan",
    type=Size(),
    metavar="SIZE",
    help="The size of the storage plan, such as 512MB or 10GB: also show how much of it is used, "
    "and in how many days it will be full.",
)
@click.option(
    "--days",
    type=click.IntRange(1, 3_650),
    default=7,
    show_default=True,
    help="Number of days to show the growth of, including today (UTC).",
)
@click.option(
    "--top",
    type=click.IntRange(1, 1_000),
    default=5,
    show_default=True,
    help="Number of the largest conversations and users, and of the slowest statements, to show.",
)
@click.option(
    "--exact",
    is_flag=True,
    help=f"Also count tables with more than {COUNTED_UP_TO:,} rows, which may take minutes.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(0.001, 86_400),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="Leave out parts that take longer, with a note.",
)
@click.option("--json", "as_json", is_flag=True, help="Print raw numbers as one JSON object.")
def stats(  # noqa: PLR0913 - one for each option
    *, plan: int | None, days: int, top: int, exact: bool, timeout: float, as_json: bool
) -> None:
    """Show what the database contains: users, conversations, messages, their sizes and growth.

    It shows ids, never titles or contents. It only reads, never waits for a lock, and works with a
    role that may only SELECT. A number marked ~ is the planner's estimate.

    Keys of --json, sizes in bytes, times in UTC; what was left out is null, and `notes` say why:
    database, server_version, at, database_bytes (all of it), chatkeep_bytes, relations [{kind
    "table"|"index", name, table, bytes, rows (estimate)}], users, conversations, active, archived,
    retained, messages, items (each {rows, estimated}), originals {rows, bytes, estimated},
    bytes_per_message, growth {since, days
    [{day, messages}], messages_per_day, bytes_per_day}, plan {bytes, used (1.0 is full),
    days_left}, largest_conversations [{id, user_id, messages}], largest_users [{user_id,
    conversations, messages}], vacuums [{table, live_rows, dead_rows, vacuumed_at, analyzed_at}],
    slow_queries [{calls, total_ms, mean_ms, query}], notes.
    """
    options = StatsOptions(days=days, top=top, plan=plan, exact=exact, seconds=timeout)
    found = on_database(partial(operator.stats, options))
    if as_json:
        click.echo(msgspec.json.encode(found))
        return
    for line in _lines(found):
        click.echo(line.rstrip())


def format_size(size: float) -> str:
    """Return a size in bytes with a unit of 1024, as Postgres names it."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(size) < 1024:  # noqa: PLR2004 - bytes of a kB
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TB"


def _lines(report: Stats) -> Iterator[str]:
    yield f"{report.database}, Postgres {report.server_version}, {report.at:%Y-%m-%d %H:%M} UTC"
    yield ""
    yield from _table(["", ""], _totals(report), head=False)
    yield ""
    rows = [
        [
            each.name if each.kind == "table" else f"  {each.name}",
            format_size(each.bytes),
            f"{each.bytes / max(1, report.chatkeep_bytes):.0%}",
            "" if each.rows is None else f"~{each.rows:,}",
        ]
        for each in report.relations
    ]
    yield from _table(["table, its indexes", "size", "share", "rows"], rows)
    yield from _growth(report)
    yield from _largest(report)
    yield ""
    rows = [
        [
            each.table,
            f"{each.dead_rows:,}",
            _ago(report.at, each.vacuumed_at),
            _ago(report.at, each.analyzed_at),
        ]
        for each in report.vacuums
    ]
    yield from _table(["table", "dead rows", "vacuumed", "analyzed"], rows)
    if report.slow_queries is not None:
        yield ""
        rows = [
            [f"{each.calls:,}", f"{each.mean_ms:.2f}", f"{each.total_ms:,.0f}", _cut(each.query)]
            for each in report.slow_queries
        ]
        yield from _table(["calls", "mean ms", "total ms", "  statement"], rows, left=3)
    if report.notes:
        yield ""
    yield from (f"note: {note}" for note in report.notes)


def _totals(report: Stats) -> list[list[str]]:
    kinds = [
        ("users", report.users),
        ("conversations", report.conversations),
        ("  active", report.active),
        ("  archived", report.archived),
        ("  retained", report.retained),
        ("messages", report.messages),
        ("other items", report.items),
    ]
    rows = [[name, _count(count)] for name, count in kinds]
    if report.originals is not None:
        about = "~" if report.originals.estimated else ""
        size = format_size(report.originals.bytes)
        rows.append([f"  originals, of {about}{report.originals.rows:,} messages", about + size])
    rows.append(["chatkeep's tables and indexes", format_size(report.chatkeep_bytes)])
    rows.append(["whole database", format_size(report.database_bytes)])
    per_message = report.bytes_per_message
    rows.append(["a message, with everything", format_size(per_message) if per_message else "?"])
    if report.plan:
        of = f"{report.plan.used:.1%} of {format_size(report.plan.bytes)}"
        rows.append(["share of the plan", of])
        left = report.plan.days_left
        rows.append(["full in", "?" if left is None else f"{left:,.0f} days"])
    return rows


def _growth(report: Stats) -> Iterator[str]:
    growth = report.growth
    if growth is None:
        return
    yield ""
    most = max(day.messages for day in growth.days)
    rows = [
        [f"{day.day}", f"{day.messages:,}", _bar(day.messages, most)] for day in growth.days[:-1]
    ]
    today = growth.days[-1]
    rows.append([f"{today.day} so far", f"{today.messages:,}", _bar(today.messages, most)])
    size = "" if growth.bytes_per_day is None else f", about {format_size(growth.bytes_per_day)}"
    yield from _table(["day (UTC)", "messages", ""], rows, left=2)
    yield f"a day: {growth.messages_per_day:,.1f} messages{size}"


def _largest(report: Stats) -> Iterator[str]:
    if report.largest_conversations:
        yield ""
        rows = [
            [str(each.id), f"{each.messages:,}", f"  {visible(each.user_id)}"]
            for each in report.largest_conversations
        ]
        yield from _table(["largest conversations", "messages", "  user"], rows, left=2)
    if report.largest_users:
        yield ""
        rows = [
            [visible(each.user_id), f"{each.messages:,}", f"{each.conversations:,}"]
            for each in report.largest_users
        ]
        yield from _table(["largest users", "messages", "conversations"], rows)


def _table(
    names: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 0, head: bool = True
) -> Iterator[str]:
    """Yield lines of aligned columns: the first one, and that of index `left`, to the left."""
    lines = [names, *rows] if head else rows
    widths = [max(len(line[n]) for line in lines) for n in range(len(names))]
    for line in lines:
        yield "  ".join(
            cell.ljust(width) if n in {0, left} else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(line, widths, strict=True))
        )


def _count(count: Count | None) -> str:
    return "?" if count is None else f"{'~' if count.estimated else ''}{count.rows:,}"


def _bar(value: int, most: int) -> str:
    return "#" * max(_SHORTEST_BAR, round(_LONGEST_BAR * value / most)) if value else ""


def _ago(now: datetime, then: datetime | None) -> str:
    if then is None:
        return "never"
    passed = max(timedelta(), now - then)
    if passed.days:
        return f"{passed.days} d ago"
    hours, seconds = divmod(passed.seconds, 3600)
    return f"{hours} h ago" if hours else f"{seconds // 60} min ago"


def _cut(query: str) -> str:
    query = query if len(query) <= _LONGEST_QUERY else f"{query[:_LONGEST_QUERY]}..."
    return f"  {query}"
