"""Options, the database and output, as several commands share them."""

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

INTERRUPTED: Final = 130
"""The exit status after Ctrl-C."""

MANY_MESSAGES: Final = 1_000

T = TypeVar("T")
Advance = Callable[[int], object]


def user_id(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> UserId | None:
    """Check a user id: a callback for click."""
    if value is None:
        return None
    try:
        value.encode()  # an argument may be bytes that are not UTF-8
        return check_user_id(value)
    except UnicodeEncodeError as error:
        raise click.BadParameter("is not UTF-8 text") from error
    except InvalidValueError as error:
        raise click.BadParameter(error.reason) from error


user_option = click.option(
    "--user", required=True, callback=user_id, metavar="ID", help="The user's id, as in `sub`."
)


@contextmanager
def open_database() -> Iterator[Settings]:
    """Yield the settings with a running database in them; the embedded one is migrated first."""
    settings = Settings.from_env()
    with database.provide(settings) as ready:
        if not settings.database_url:
            asyncio.run(database.migrate(ready))
        yield ready


def on_database(work: Callable[[Settings], Coroutine[Any, Any, T]]) -> T:
    """Run `work` on the database of the settings; the embedded one is migrated first."""
    with open_database() as ready:
        return asyncio.run(work(ready))


async def update_planner(settings: Settings, added: int) -> None:
    """Update the planner's statistics if many messages were added."""
    if added > MANY_MESSAGES:
        try:
            await database.refresh_statistics(settings)
        except StoreUnavailableError as error:
            warn(f"Everything was added, but run ANALYZE on the database: {error}")


@contextmanager
def progress(label: str, length: int | None) -> Iterator[Advance]:
    """Show a progress bar if stderr is a terminal and the length is known.

    Yields the function that advances it.
    """
    if length is None or not sys.stderr.isatty():
        yield lambda _: None
        return
    with click.progressbar(length=length, label=label, file=sys.stderr) as bar:
        yield bar.update


def warn(line: str) -> None:
    """Write a line to stderr, in place of a progress bar."""
    line = visible(line)
    click.echo(f"\r\x1b[K{line}" if sys.stderr.isatty() else line, err=True)
