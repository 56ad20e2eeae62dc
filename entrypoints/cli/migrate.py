"""`chatkeep migrate`."""

import asyncio

import click

from chatkeep.entrypoints.bootstrap import database
from chatkeep.entrypoints.settings import Settings


@click.command()
@click.option(
    "--status",
    is_flag=True,
    help="Change nothing; show which migrations are applied and which are pending.",
)
def migrate(*, status: bool) -> None:
    """Migrate the database to the newest schema."""
    with database.provide(Settings.from_env()) as settings:
        if status:
            _show_status(settings)
            return
        applied = asyncio.run(database.migrate(settings))
        warnings = asyncio.run(database.migration_warnings(settings))
    for each in applied:
        click.echo(f"applied {each.id}  {each.description}")
    if not applied:
        click.echo("nothing was pending")
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)


def _show_status(settings: Settings) -> None:
    migrations = asyncio.run(database.migration_status(settings))
    applied = [each.id for each in migrations if each.ran_on is not None]
    pending = [each.id for each in migrations if each.ran_on is None]
    click.echo(f"current: {applied[-1] if applied else 'none'}")
    click.echo(f"pending: {', '.join(pending) or 'none'}")
    for each in migrations:
        state = f"applied {each.ran_on:%Y-%m-%d %H:%M:%S}" if each.ran_on else "pending"
        click.echo(f"{each.id}  {state}  {each.description}")
