"""`chatkeep token`."""

from typing import Final

import click

from chatkeep.entrypoints.bootstrap.tokens import user_token
from chatkeep.entrypoints.cli.options import user_option
from chatkeep.entrypoints.settings import Settings

HOUR_SECONDS: Final = 3_600


@click.command()
@user_option
@click.option("--days", type=click.IntRange(1, 36_500), help="How long it is valid.  [default: 1]")
@click.option(
    "--hours", type=click.IntRange(1, 876_000), help="The same in hours; the two are added."
)
def token(user: str, days: int | None, hours: int | None) -> None:
    """Print a token for a user, signed with CHATKEEP_JWT_SECRET.

    Without that, and without DATABASE_URL, it is signed with the secret of the embedded Postgres.
    """
    hours_valid = (days or 0) * 24 + (hours or 0) or 24
    click.echo(user_token(Settings.from_env(), user, seconds=hours_valid * HOUR_SECONDS))
