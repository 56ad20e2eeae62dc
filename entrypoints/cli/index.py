"""`chatkeep index`: adds to the search indexes of users what they do not have yet."""

import json
import sys
from contextlib import aclosing
from dataclasses import asdict, dataclass, field
from functools import partial
from time import perf_counter

import click

from chatkeep.domain.model import UserId
from chatkeep.domain.operations.indexing import Indexed
from chatkeep.entrypoints.bootstrap.use_cases import indexing_on
from chatkeep.entrypoints.cli import options
from chatkeep.entrypoints.settings import Settings


@dataclass
class IndexProgress:
    """The progress of a run. `seconds` count from the first statement."""

    dry_run: bool
    indexed: Indexed = field(default_factory=Indexed)
    started: float = field(default_factory=perf_counter)
    complete: bool = False

    def __str__(self) -> str:
        done = self.indexed
        found = "nothing was changed; to do: " if self.dry_run else "indexed "
        return (
            f"{found}{done.conversations} conversations with {done.messages} messages, "
            f"of {done.users} users; {self.seconds} s"
        )

    @property
    def seconds(self) -> float:
        return round(perf_counter() - self.started, 1)

    def json(self) -> str:
        return json.dumps(
            asdict(self.indexed)
            | {"seconds": self.seconds, "dry_run": self.dry_run, "complete": self.complete}
        )


@click.command()
@click.option("--all", "everybody", is_flag=True, help="Also those who have never searched.")
@click.option("--user", callback=options.user_id, metavar="ID", help="Only this user, as in `sub`.")
@click.option("--dry-run", is_flag=True, help="Change nothing; count what would be done.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as a JSON object.")
def index(*, everybody: bool, user: UserId | None, dry_run: bool, as_json: bool) -> None:
    """Add to the search indexes of users what they do not have yet.

    A search does so itself, in steps: this spares users who come back after long, or after an
    upgrade that changed the index, from waiting for it. It covers all users who have searched
    before; with --all it makes an index for everybody, which takes about a third of the bytes of
    their texts.

    It works in small steps while the service runs. Ctrl-C ends it at any time (exit status 130).
    Finished steps stay; run it again to continue.

    With --json: users, conversations and messages (that were added, of conversations that had
    something new), seconds, dry_run, and complete (false if it was ended).
    """
    if everybody and user is not None:
        raise click.UsageError("Give --all or --user, not both.")
    done = IndexProgress(dry_run)
    try:
        options.on_database(partial(_index, done, user, everybody=everybody))
    except KeyboardInterrupt:
        options.warn("chatkeep: interrupted; run it again to continue")
        _print(done, as_json=as_json)
        sys.exit(options.INTERRUPTED)
    _print(done, as_json=as_json)


async def _index(
    done: IndexProgress, user: UserId | None, settings: Settings, *, everybody: bool
) -> None:
    async with indexing_on(settings) as indexing:
        done.started = perf_counter()
        running = indexing.run(only=user, everybody=everybody, dry_run=done.dry_run)
        async with aclosing(running) as users:
            async for indexed in users:
                done.indexed += indexed
        done.complete = True


def _print(done: IndexProgress, *, as_json: bool) -> None:
    click.echo(done.json() if as_json else str(done))
