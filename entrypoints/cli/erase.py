"""`chatkeep erase`: a user and everything they own, straight on the database."""

import asyncio
import sys

import click

from chatkeep.domain.errors import UserRetainedError
from chatkeep.domain.model import Usage, UserId
from chatkeep.entrypoints.bootstrap.operator import use_cases_on
from chatkeep.entrypoints.cli.options import complain, migrated, user_option
from chatkeep.entrypoints.settings import Settings


@click.command()
@user_option
@click.option("--yes", is_flag=True, help="Do not ask; needed where there is no terminal.")
@click.option(
    "--even-retained", is_flag=True, help="Erase also when conversations of the user are on hold."
)
def erase(user: UserId, *, yes: bool, even_retained: bool) -> None:
    """Delete a user and everything they own, for good.

    What would go is shown first, and you are asked. It goes all at once or, when something fails or
    Ctrl-C comes before the end, not at all. While a conversation of the user is on hold (`retain`)
    nothing is deleted, and the exit status is 1, unless you give --even-retained; so it is when
    there is no such user, or when you say no.

    A row of `users` that another application's rows still need stays there.
    """
    if not (yes or sys.stdin.isatty()):
        raise click.UsageError("There is no terminal to ask on: add --yes to erase without asking.")
    try:
        with migrated() as ready:
            if not yes:
                _ask(user, asyncio.run(_erasable(ready, user, even_retained=even_retained)))
            erased = asyncio.run(_erase(ready, user, even_retained=even_retained))
    except UserRetainedError as error:
        complain(f"chatkeep: {error} Or erase even those: --even-retained.")
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
    if not click.confirm("Delete the user and all of it, for good?", err=True):
        complain("chatkeep: nothing was deleted")
        sys.exit(1)


def _counts(usage: Usage) -> str:
    held = f", {usage.retained} on hold" if usage.retained else ""
    return (
        f"{_many(usage.conversations, 'conversation')} ({usage.active} active, "
        f"{usage.archived} archived{held}), {_many(usage.messages, 'message')}"
    )


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
