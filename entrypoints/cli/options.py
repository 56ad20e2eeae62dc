"""What several commands ask for or show."""

import asyncio
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import click

from chatkeep.domain.errors import InvalidValueError, StoreUnavailableError
from chatkeep.domain.model import UserId, check_user_id
from chatkeep.entrypoints.bootstrap import database
from chatkeep.entrypoints.settings import Settings
from chatkeep.entrypoints.visible import visible

MANY_MESSAGES: Final = 1_000

T = TypeVar("T")
Advance = Callable[[int], object]


def user_id(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> UserId | None:
    """Return an option's value when it can own conversations: a callback of click's."""
    if value is None:
        return None
    try:
        value.encode()  # what a shell hands over need not be text
        return check_user_id(value)
    except UnicodeEncodeError as error:
        raise click.BadParameter("is not UTF-8 text") from error
    except InvalidValueError as error:
        raise click.BadParameter(error.reason) from error


user_option = click.option(
    "--user", required=True, callback=user_id, metavar="ID", help="The user's id, as in `sub`."
)


@contextmanager
def migrated() -> Iterator[Settings]:
    """Yield the settings with a database in them; the embedded one is migrated first."""
    settings = Settings.from_env()
    with database.running(settings) as ready:
        if not settings.database_url:
            asyncio.run(database.migrate(ready))
        yield ready


def on_database(work: Callable[[Settings], Coroutine[Any, Any, T]]) -> T:
    """Do the work on the database of the settings; the embedded one is migrated first."""
    with migrated() as ready:
        return asyncio.run(work(ready))


async def tell_planner(settings: Settings, added: int) -> None:
    """Have the planner told what there is now, when so many messages were added that it matters."""
    if added > MANY_MESSAGES:
        try:
            await database.refresh_statistics(settings)
        except StoreUnavailableError as error:
            complain(f"All is in, but run ANALYZE on the database: {error}")


@contextmanager
def progress(label: str, length: int | None) -> Iterator[Advance]:
    """Show a bar on stderr where somebody sees it, and where the length is known.

    What is yielded moves it on by so much.
    """
    if length is None or not sys.stderr.isatty():
        yield lambda _: None
        return
    with click.progressbar(length=length, label=label, file=sys.stderr) as bar:
        yield bar.update


def complain(line: str) -> None:
    """Write a line to stderr, in place of a progress bar that may stand there."""
    line = visible(line)
    click.echo(f"\r\x1b[K{line}" if sys.stderr.isatty() else line, err=True)
