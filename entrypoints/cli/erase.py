"""`chatkeep erase`: deletes a user and everything they own, directly in the database."""

import asyncio
import sys

import click

from chatkeep.domain.errors import UserRetainedError
from chatkeep.domain.model import Usage, UserId
from chatkeep.entrypoints.bootstrap.use_cases import use_cases_on
from chatkeep.entrypoints.cli.options import open_database, user_option, warn
from chatkeep.entrypoints.settings import Settings


@click.command()
@user_option
@click.option("--yes", is_flag=True, help="Do not ask; required without a terminal.")
@click.option(
    "--even-retained",
    is_flag=True,
    help="Erase the user even if some of their conversations are on hold.",
)
def erase(user: UserId, *, yes: bool, even_retained: bool) -> None:
    """Delete a user and everything they own, permanently.

    It first shows what would be deleted, and asks. It deletes everything at once; if it fails or is
    interrupted with Ctrl-C, it deletes nothing. While a conversation of the user is on hold
    (`retain`), nothing is deleted and the exit status is 1, unless you add --even-retained. The
    exit status is also 1 if there is no such user, or if you answer no.

    A row of `users` that another application's rows refer to is not deleted.
    """
    if not (yes or sys.stdin.isatty()):
        raise click.UsageError("There is no terminal to ask on: add --yes to erase without asking.")
    try:
        with open_database() as ready:
            if not yes:
                _ask(user, asyncio.run(_erasable(ready, user, even_retained=even_retained)))
            erased = asyncio.run(_erase(ready, user, even_retained=even_retained))
    except UserRetainedError as error:
        warn(f"chatkeep: {error} To erase those as well, add --even-retained.")
        sys.exit(1)
    click.echo(f"deleted of user {user!r}: {_counts(erased)}")


async def _erasable(settings: Settings, user: UserId, *, even_retained: bool) -> Usage:
    async with use_cases_on(settings) as chatkeep:
        return await chatkeep.erasable(user, even_retained=even_retained)


async def _erase(settings: Settings, user: UserId, *, even_retained: bool) -> Usage:
    async with use_cases_on(settings) as chatkeep:
        return await chatkeep.erase_user(user, even_retained=even_retained)


def _ask(user: UserId, found: Usage) -> None:
    click.echo(f"User {user!r} has {_counts(found)}.", err=True)
    if not click.confirm("Delete the user and all of this, permanently?", err=True):
        warn("chatkeep: nothing was deleted")
        sys.exit(1)


def _counts(usage: Usage) -> str:
    held = f", {usage.retained} on hold" if usage.retained else ""
    return (
        f"{_many(usage.conversations, 'conversation')} ({usage.active} active, "
        f"{usage.archived} archived{held}), {_many(usage.messages, 'message')}"
    )


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
