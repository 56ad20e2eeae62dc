"""`chatkeep doctor`: examines the database, and prints a line for each result, or JSON."""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import aclosing
from importlib.metadata import version
from typing import Any

import click

from chatkeep.domain.operations.diagnostics import CheckResult, Outcome
from chatkeep.entrypoints.bootstrap import database
from chatkeep.entrypoints.bootstrap.operator import examination, keep_examination
from chatkeep.entrypoints.settings import Settings
from chatkeep.entrypoints.visible import visible


@click.command()
@click.option(
    "--repair",
    is_flag=True,
    help="Correct message_count and last_position where they are wrong; change nothing else.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of lines.")
def doctor(*, repair: bool, as_json: bool) -> None:
    """Examine the database: whether it is what chatkeep needs, and whether it keeps its promises.

    It examines the connection, the server, the migrations, and every table, column, index and
    constraint. Then it stores, reads and deletes conversations of invented users, in transactions
    that it rolls back. Then it counts the messages of every conversation. It changes nothing,
    except with --repair; only its result is kept, for the overview. You can run it while the
    service runs, and interrupt it.

    A line is ok, warning, failed or skipped, then what was examined, what was found, and after ->
    what to do. The exit status is 1 if something failed, otherwise 0. See docs/doctor.md.
    """
    with database.provide(Settings.from_env()) as settings:
        results = asyncio.run(_examine(settings, repair=repair, show=_ignore if as_json else _show))
    counts = Counter(result.outcome for result in results)
    if as_json:
        click.echo(json.dumps(_document(results, counts), ensure_ascii=False, indent=2))
    else:
        click.echo(", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome))
    sys.exit(1 if counts[Outcome.FAILED] else 0)


async def _examine(
    settings: Settings, *, repair: bool, show: Callable[[CheckResult], None]
) -> list[CheckResult]:
    results = []
    async with aclosing(examination(settings, repair=repair).run()) as found:
        async for result in found:
            show(result)
            results.append(result)
    if any(result.check == "connection" and result.outcome is Outcome.FAILED for result in results):
        return results
    if why_not := await keep_examination(settings, results):
        click.echo(f"The result could not be kept for the overview: {visible(why_not)}", err=True)
    return results


def _show(result: CheckResult) -> None:
    click.echo(visible(format_result(result)))
    for example in result.examples:
        click.echo(visible(f"         {example}"))


def format_result(result: CheckResult) -> str:
    """Return the result as one line."""
    what = f"{result.check} {result.target}".rstrip()
    way_out = f" -> {result.fix}" if result.fix else ""
    found = " ".join(f"{result.message}{way_out}".split())
    return f"{result.outcome:<8} {what}: {found} ({result.seconds * 1000:.0f} ms)"


def _ignore(_: CheckResult) -> None:
    """Show nothing: everything is printed at the end."""


def _document(results: list[CheckResult], counts: Counter[Outcome]) -> dict[str, Any]:
    return {
        "chatkeep": version("chatkeep"),
        "healthy": not counts[Outcome.FAILED],
        "counts": {outcome: counts[outcome] for outcome in Outcome},
        "findings": [
            {
                "check": result.check,
                "subject": result.target or None,
                "outcome": result.outcome,
                "found": result.message,
                "way_out": result.fix or None,
                "examples": result.examples,
                "seconds": round(result.seconds, 6),
            }
            for result in results
        ],
    }
