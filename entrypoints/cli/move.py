"""`chatkeep move`: from the embedded database to a real one, or from any to any."""

import shlex
import sys
from functools import partial

import click

from chatkeep.entrypoints.bootstrap import database
from chatkeep.entrypoints.bootstrap import move as moving
from chatkeep.entrypoints.bootstrap.move import DatabaseUrl, Moved, MoveError, Seen
from chatkeep.entrypoints.cli.options import complain, on_database, progress
from chatkeep.entrypoints.settings import Settings


@click.command()
@click.argument("url", metavar="DATABASE_URL")
@click.option("--dry-run", is_flag=True, help="Change nothing; show what there is to move.")
def move(url: str, *, dry_run: bool) -> None:
    """Copy everything to the database of DATABASE_URL, and compare the two.

    The source is the database of the environment's DATABASE_URL, else the embedded one; it is only
    read. The target is migrated, and must hold no rows of chatkeep's, unless they are from an
    earlier run of the same move: then it goes on. DATABASE_URL may be -, to read it from stdin,
    which keeps the password out of the list of processes.

    At the end rows and checksums of every table are compared with the source as it is then. If a
    service wrote meanwhile they differ, and the exit status is 1: stop it and run the move again,
    which copies what changed.
    """
    if url == "-":
        url = sys.stdin.readline()
    target = moving.named(url)
    settings = Settings.from_env()
    seen, moved = on_database(partial(_move, url, target, dry_run))
    if seen.done:
        click.echo(f"{target} holds all of it already; nothing to do.")
    elif moved is None:
        _show(seen, target)
    else:
        _report(moved)
        if not moved.equal:
            raise MoveError(
                "The target is not equal to the source as it is now: something wrote to the source "
                f"meanwhile (other sessions on it: {moved.sessions}). Stop the service and run the "
                "same command again: it copies what changed."
            )
        _say_what_is_next(settings, moved)


async def _move(
    url: str,
    target: DatabaseUrl,
    dry_run: bool,  # noqa: FBT001 - a partial's
    settings: Settings,
) -> tuple[Seen, Moved | None]:
    seen = await moving.look(target, settings)
    if seen.done or dry_run:
        return seen, None
    if seen.begun:
        click.echo("going on with the move that was begun", err=True)
    await moving.migrate_target(url)
    try:
        with progress("moving", sum(seen.rows.values())) as advance:
            return seen, await moving.move(target, advance, settings)
    except MoveError:
        raise
    except BaseException:
        complain("stopped: what was copied stays. Run the same command again to go on.")
        raise


def _show(seen: Seen, target: DatabaseUrl) -> None:
    for table, rows in seen.rows.items():
        click.echo(f"{table:<20} {rows:>12,} rows")
    click.echo(f"would be moved to {target}")
    if seen.begun:
        click.echo("An earlier run has begun; what is there and equal is not copied again.")
    if seen.sessions:
        click.echo(_in_use(seen.sessions))


def _report(moved: Moved) -> None:
    for each in moved.tables:
        state = "equal" if each.equal else "NOT EQUAL"
        click.echo(
            f"{each.table:<20} {each.source_rows:>12,} -> {each.target_rows:>12,} rows  {state}"
        )


def _say_what_is_next(settings: Settings, moved: Moved) -> None:
    click.echo("\nEverything was moved. The source is as it was. Next:")
    if moved.sessions:
        click.echo(f"  - {_in_use(moved.sessions)}")
    click.echo("  - set DATABASE_URL to the URL you gave, and start the service")
    if not settings.database_url:
        secret = shlex.quote(str(database.home(settings) / "secret"))
        click.echo(
            "  - keep the tokens that are out there valid: they were signed with the secret of the "
            f'embedded database\n      export CHATKEEP_JWT_SECRET="$(cat {secret})"'
        )


def _in_use(sessions: int) -> str:
    return (
        f"other sessions on the source: {sessions}, a service perhaps. What it writes there after "
        "the move is not in the target: stop it first"
    )
