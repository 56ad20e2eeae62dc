"""`chatkeep doctor`: examines the database, and prints a line for each finding, or JSON."""

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
from chatkeep.entrypoints.bootstrap.operator import examination
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
    except with --repair. You can run it while the service runs, and interrupt it.

    A line is ok, warning, failed or skipped, then what was examined, what was found, and after ->
    what to do. The exit status is 1 if something failed, otherwise 0. See docs/doctor.md.
    """
    with database.running(Settings.from_env()) as settings:
        findings = asyncio.run(
            _examine(settings, repair=repair, show=_ignore if as_json else _show)
        )
    counts = Counter(finding.outcome for finding in findings)
    if as_json:
        click.echo(json.dumps(_document(findings, counts), ensure_ascii=False, indent=2))
    else:
        click.echo(", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome))
    sys.exit(1 if counts[Outcome.FAILED] else 0)


async def _examine(
    settings: Settings, *, repair: bool, show: Callable[[CheckResult], None]
) -> list[CheckResult]:
    findings = []
    async with aclosing(examination(settings, repair=repair).run()) as found:
        async for finding in found:
            show(finding)
            findings.append(finding)
    return findings


def _show(finding: CheckResult) -> None:
    click.echo(visible(line(finding)))
    for example in finding.examples:
        click.echo(visible(f"         {example}"))


def line(finding: CheckResult) -> str:
    """Return the finding as one line."""
    what = f"{finding.check} {finding.target}".rstrip()
    way_out = f" -> {finding.fix}" if finding.fix else ""
    found = " ".join(f"{finding.message}{way_out}".split())
    return f"{finding.outcome:<8} {what}: {found} ({finding.seconds * 1000:.0f} ms)"


def _ignore(_: CheckResult) -> None:
    """Show nothing: everything is printed at the end."""


def _document(findings: list[CheckResult], counts: Counter[Outcome]) -> dict[str, Any]:
    return {
        "chatkeep": version("chatkeep"),
        "healthy": not counts[Outcome.FAILED],
        "counts": {outcome: counts[outcome] for outcome in Outcome},
        "findings": [
            {
                "check": finding.check,
                "subject": finding.target or None,
                "outcome": finding.outcome,
                "found": finding.message,
                "way_out": finding.fix or None,
                "examples": finding.examples,
                "seconds": round(finding.seconds, 6),
            }
            for finding in findings
        ],
    }
