"""`chatkeep sweep`: archives and deletes conversations that have been idle for long."""

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
from chatkeep.domain.idle import Cutoffs, SweepResult
from chatkeep.domain.operations.sweep import Policy, parse_duration
from chatkeep.entrypoints.bootstrap.use_cases import sweep_on
from chatkeep.entrypoints.cli.options import INTERRUPTED, Advance, on_database, progress, warn
from chatkeep.entrypoints.settings import Settings


@dataclass
class SweepProgress:
    """The progress of a sweep. `seconds` count from the first statement."""

    dry_run: bool
    swept: SweepResult = field(default_factory=SweepResult)
    cutoffs: Cutoffs | None = None
    started: float = field(default_factory=perf_counter)
    complete: bool = False

    def __str__(self) -> str:
        found = "nothing was changed; to do: " if self.dry_run else ""
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
        return None if value is None else parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@click.command()
@click.option(
    "--archive-after",
    callback=_duration,
    metavar="DURATION",
    help="Archive active conversations idle for this long, such as 90d.",
)
@click.option(
    "--delete-after",
    callback=_duration,
    metavar="DURATION",
    help="Delete conversations of any status idle for this long, such as 52w, with their messages.",
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
    """Archive or delete conversations that have been idle for long, those of all users.

    A conversation is idle since its last message; archiving and renaming do not count. Give at
    least one of the two options; nothing is deleted without --delete-after. A DURATION is a number
    of hours, days or weeks: 12h, 90d, 2w. Conversations on hold are never deleted, but archived.

    It works in small batches while the service runs, and skips conversations that are in use.
    Ctrl-C ends it at any time (exit status 130). Finished batches stay; run it again to continue.

    With --json: archived, deleted, messages (deleted with them), retained (on hold, so not
    deleted), archive_before, delete_before, seconds, dry_run, and complete (false if it was ended).
    """
    try:
        policy = Policy(archive_after, delete_after)
    except InvalidValueError as error:
        raise click.UsageError(f"--delete-after {error.reason}.") from error
    if policy.is_empty:
        raise click.UsageError(
            "Give --archive-after, --delete-after or both, such as --archive-after 90d."
        )
    done = SweepProgress(dry_run)
    try:
        on_database(partial(_sweep, policy, done))
    except KeyboardInterrupt:
        warn("chatkeep: interrupted; the current batch may be done as well")
        _print(done, as_json=as_json)
        sys.exit(INTERRUPTED)
    except Exception:
        if done.swept != SweepResult():
            warn(f"stopped here: {done}. Sweep again to continue.")
        raise
    _print(done, as_json=as_json)


async def _sweep(policy: Policy, done: SweepProgress, settings: Settings) -> None:
    async with sweep_on(settings, policy) as (sweep, cutoffs):
        done.cutoffs = cutoffs
        done.started = perf_counter()
        expected = await sweep.count(cutoffs)
        if done.dry_run:
            done.swept = expected
        else:
            done.swept = SweepResult(retained=expected.retained)
            with progress("sweeping", expected.archived + expected.deleted) as advance:
                await _run(sweep.run(cutoffs), done, advance)
        done.complete = True


async def _run(
    sweeping: AsyncGenerator[SweepResult, None], done: SweepProgress, advance: Advance
) -> None:
    async with aclosing(sweeping) as batches:
        async for swept in batches:
            done.swept += swept
            advance(swept.archived + swept.deleted)


def _print(done: SweepProgress, *, as_json: bool) -> None:
    click.echo(done.json() if as_json else str(done))
