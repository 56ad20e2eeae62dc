"""`chatkeep move`: copies everything to another database, such as from the embedded one."""

import shlex
import sys
from functools import partial

import click

from chatkeep.domain.operations.move import MoveError, MovePreview, MoveResult
from chatkeep.entrypoints.bootstrap import database, operator
from chatkeep.entrypoints.cli.options import on_database, progress, warn
from chatkeep.entrypoints.settings import Settings


@click.command()
@click.argument("url", metavar="DATABASE_URL")
@click.option("--dry-run", is_flag=True, help="Change nothing; show what would be moved.")
def move(url: str, *, dry_run: bool) -> None:
    """Copy everything to the database of DATABASE_URL, and compare the two.

    The source is the database of the environment's DATABASE_URL, else the embedded one; it is only
    read. The target is migrated. It must not contain rows of chatkeep, unless they are from an
    earlier run of the same move, which then continues. DATABASE_URL may be -, to read it from
    stdin, which keeps the password out of the list of processes.

    At the end the rows and checksums of every table are compared with the source as it is then. If
    a service wrote to it meanwhile, they differ, and the exit status is 1: stop the service and run
    the move again, which copies what changed.
    """
    if url == "-":
        url = sys.stdin.readline()
    target = operator.target_name(url)
    settings = Settings.from_env()
    preview, result = on_database(partial(_move, url, dry_run))
    if preview.done:
        click.echo(f"{target} has everything already; nothing to do.")
    elif result is None:
        _show(preview, target)
    else:
        _report(result)
        if not result.equal:
            raise MoveError(
                "The target is not equal to the source as it is now: something wrote to the source "
                f"meanwhile (other sessions on it: {result.sessions}). Stop the service and run "
                "the same command again: it copies what changed."
            )
        _show_next_steps(settings, result)


async def _move(
    url: str,
    dry_run: bool,  # noqa: FBT001 - a partial's
    settings: Settings,
) -> tuple[MovePreview, MoveResult | None]:
    preview = await operator.preview_move(url, settings)
    if preview.done or dry_run:
        return preview, None
    if preview.begun:
        click.echo("continuing the move that was begun", err=True)
    await operator.migrate_target(url)
    try:
        with progress("moving", sum(preview.rows.values())) as advance:
            return preview, await operator.move(url, advance, settings)
    except MoveError:
        raise
    except BaseException:
        warn("stopped: what was copied stays. Run the same command again to continue.")
        raise


def _show(preview: MovePreview, target: str) -> None:
    for table, rows in preview.rows.items():
        click.echo(f"{table:<20} {rows:>12,} rows")
    click.echo(f"would be moved to {target}")
    if preview.begun:
        click.echo("An earlier run has begun; rows that are equal are not copied again.")
    if preview.sessions:
        click.echo(_in_use(preview.sessions))


def _report(result: MoveResult) -> None:
    for each in result.tables:
        state = "equal" if each.equal else "NOT EQUAL"
        click.echo(
            f"{each.table:<20} {each.source_rows:>12,} -> {each.target_rows:>12,} rows  {state}"
        )


def _show_next_steps(settings: Settings, result: MoveResult) -> None:
    click.echo("\nEverything was moved. The source was not changed. Next:")
    if result.sessions:
        click.echo(f"  - {_in_use(result.sessions)}")
    click.echo("  - set DATABASE_URL to the URL you gave, and start the service")
    if not settings.database_url:
        secret = shlex.quote(str(database.home(settings) / "secret"))
        click.echo(
            "  - keep existing tokens valid: they were signed with the secret of the "
            f'embedded database\n      export CHATKEEP_JWT_SECRET="$(cat {secret})"'
        )


def _in_use(sessions: int) -> str:
    return (
        f"other sessions on the source: {sessions}, perhaps a service. What it writes after the "
        "move is not in the target: stop it first"
    )
