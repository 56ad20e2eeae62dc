"""The command line: `chatkeep serve | migrate | token | import | export`."""

import asyncio
import logging
import sys

import click

from entrypoints import bootstrap, serving
from entrypoints.bootstrap import database, errors
from entrypoints.cli import sweep, transfer
from entrypoints.cli.adopt import adopt
from entrypoints.cli.doctor import doctor
from entrypoints.cli.erase import erase
from entrypoints.cli.move import move
from entrypoints.cli.options import user_option
from entrypoints.cli.stats import stats
from entrypoints.settings import Settings

HOUR_SECONDS = 3_600
MAX_PORT = 65_535


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="chatkeep", message="%(prog)s %(version)s")
def cli() -> None:
    """Keep every conversation of your chatbot on your own Postgres.

    The database is that of DATABASE_URL; without it, an embedded Postgres is started.
    """
    # What goes wrong is said once, by the command; only `serve` has a log.
    logging.getLogger("chatkeep").addHandler(logging.NullHandler())


@cli.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="0.0.0.0 is every address.")
@click.option(
    "--port",
    default=8000,
    show_default=True,
    type=click.IntRange(0, MAX_PORT),
    help="0 is any free one.",
)
@click.option(
    "--workers", default=1, show_default=True, type=click.IntRange(1), help="Processes that serve."
)
@click.option(
    "--migrate", is_flag=True, help="Migrate first; the embedded database always is migrated."
)
def serve(host: str, port: int, workers: int, *, migrate: bool) -> None:
    """Serve over HTTP until Ctrl-C or SIGTERM."""
    serving.serve(Settings.from_env(), host=host, port=port, workers=workers, migrate=migrate)


@cli.command()
@click.option("--status", is_flag=True, help="Change nothing; show what is applied and what not.")
def migrate(*, status: bool) -> None:
    """Bring the database to the newest schema."""
    with database.running(Settings.from_env()):
        if status:
            _show_status()
            return
        applied = asyncio.run(database.migrate())
    for each in applied:
        click.echo(f"applied {each.id}  {each.description}")
    if not applied:
        click.echo("nothing was pending")


@cli.command()
@user_option
@click.option("--days", type=click.IntRange(1, 36_500), help="How long it is good.  [default: 1]")
@click.option("--hours", type=click.IntRange(1, 876_000), help="The same, in hours; both add up.")
def token(user: str, days: int | None, hours: int | None) -> None:
    """Print a token that lets a user in, signed with CHATKEEP_JWT_SECRET.

    On the embedded Postgres it is signed with the secret kept there.
    """
    good_for = (days or 0) * 24 + (hours or 0) or 24
    click.echo(bootstrap.token(Settings.from_env(), user, seconds=good_for * HOUR_SECONDS))


cli.add_command(transfer.import_)
cli.add_command(transfer.export)
cli.add_command(doctor)
cli.add_command(adopt)
cli.add_command(sweep.sweep)
cli.add_command(stats)
cli.add_command(move)
cli.add_command(erase)


def main() -> None:
    """Run a command. What an operator can mend is one line on stderr and exit status 1."""
    try:
        cli(prog_name="chatkeep")
    except Exception as error:
        explained = errors.explained(error)
        if explained is None:
            raise
        click.echo(f"chatkeep: {explained}", err=True)
        sys.exit(1)


def _show_status() -> None:
    migrations = asyncio.run(database.migration_status())
    applied = [each.id for each in migrations if each.ran_on is not None]
    pending = [each.id for each in migrations if each.ran_on is None]
    click.echo(f"current: {applied[-1] if applied else 'none'}")
    click.echo(f"pending: {', '.join(pending) or 'none'}")
    for each in migrations:
        state = f"applied {each.ran_on:%Y-%m-%d %H:%M:%S}" if each.ran_on else "pending"
        click.echo(f"{each.id}  {state}  {each.description}")
