"""`chatkeep sweep`: archives and deletes conversations that nobody used for long."""

import json
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from functools import partial
from time import perf_counter

import click

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.operations.sweep import Cutoffs, Policy, Swept, duration
from chatkeep.entrypoints.bootstrap.operator import sweep_on
from chatkeep.entrypoints.cli.options import Advance, complain, on_database, progress
from chatkeep.entrypoints.settings import Settings

INTERRUPTED = 130
"""The exit status of what Ctrl-C ended."""


@dataclass
class Tally:
    """What was done so far. `seconds` count from the first statement."""

    dry_run: bool
    swept: Swept = field(default_factory=Swept)
    cutoffs: Cutoffs | None = None
    started: float = field(default_factory=perf_counter)
    complete: bool = False

    def __str__(self) -> str:
        found = "nothing was changed; found to do: " if self.dry_run else ""
        return f"{found}{self.swept}; {self.seconds} s"

    @property
    def seconds(self) -> float:
        return round(perf_counter() - self.started, 1)

    def json(self) -> str:
        cutoffs = asdict(self.cutoffs or Cutoffs(None, None))
        times = {
            f"{name}_before": None if at is None else at.isoformat() for name, at in cutoffs.items()
        }
        return json.dumps(
            asdict(self.swept)
            | times
            | {"seconds": self.seconds, "dry_run": self.dry_run, "complete": self.complete}
        )


def _duration(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> timedelta | None:
    try:
        return None if value is None else duration(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@click.command()
@click.option(
    "--archive-after",
    callback=_duration,
    metavar="DURATION",
    help="Archive active conversations idle for so long, such as 90d.",
)
@click.option(
    "--delete-after",
    callback=_duration,
    metavar="DURATION",
    help="Delete conversations of any status idle for so long, such as 52w, with all messages.",
)
@click.option("--dry-run", is_flag=True, help="Change nothing; count what would be done.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as a JSON object.")
def sweep(
    archive_after: timedelta | None,
    delete_after: timedelta | None,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Archive or delete the conversations of all users that are idle for long.

    A conversation is idle since its last message; archiving and renaming are no activity. At least
    one of the two options must be given; nothing is deleted without --delete-after. A DURATION is a
    number of hours, days or weeks: 12h, 90d, 2w. What is on hold is never deleted; it is archived
    as any other.

    It goes in small batches while the service runs on. A conversation that somebody uses meanwhile
    is left alone. Ctrl-C ends it at any moment (exit status 130); what is done is done, and running
    it again goes on.

    With --json: archived, deleted, messages (deleted with them), retained (on hold, so not
    deleted), archive_before, delete_before, seconds, dry_run, and complete (false: it was ended).
    """
    try:
        policy = Policy(archive_after, delete_after)
    except InvalidValueError as error:
        raise click.UsageError(f"--delete-after {error.reason}.") from error
    if policy.is_empty:
        raise click.UsageError(
            "Say what to do: --archive-after, --delete-after or both, such as --archive-after 90d."
        )
    tally = Tally(dry_run)
    try:
        on_database(partial(_sweep, policy, tally))
    except KeyboardInterrupt:
        complain("chatkeep: interrupted; a batch that was under way may be done too")
        _print(tally, as_json=as_json)
        sys.exit(INTERRUPTED)
    except Exception:
        if tally.swept != Swept():
            complain(f"stopped here: {tally}. Sweep again to go on.")
        raise
    _print(tally, as_json=as_json)


async def _sweep(policy: Policy, tally: Tally, settings: Settings) -> None:
    async with sweep_on(settings, policy) as (sweep, cutoffs):
        tally.cutoffs = cutoffs
        tally.started = perf_counter()
        expected = await sweep.count(cutoffs)
        if tally.dry_run:
            tally.swept = expected
        else:
            tally.swept = Swept(retained=expected.retained)
            with progress("sweeping", expected.archived + expected.deleted) as advance:
                await _run(sweep.run(cutoffs), tally, advance)
        tally.complete = True


async def _run(sweeping: AsyncGenerator[Swept, None], tally: Tally, advance: Advance) -> None:
    async with aclosing(sweeping) as batches:
        async for swept in batches:
            tally.swept += swept
            advance(swept.archived + swept.deleted)


def _print(tally: Tally, *, as_json: bool) -> None:
    click.echo(tally.json() if as_json else str(tally))
