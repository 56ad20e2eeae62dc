"""`chatkeep import` and `chatkeep export`: straight on the database, through the use cases."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final

import click

from domain.errors import (
    ChatkeepError,
    ConversationIdTakenError,
    InvalidValueError,
    LimitExceededError,
    MessageIdTakenError,
    StoreUnavailableError,
)
from domain.model import Limits, UserId
from domain.transfer import Transfer
from entrypoints.bootstrap.transfer import refresh_statistics, transfer_on
from entrypoints.cli.options import complain, on_database, progress, user_option
from entrypoints.settings import Settings
from entrypoints.transfer import numbered, read, write

MANY_MESSAGES: Final = 1_000
"""After an import of more than these the planner is told what there is now."""

_REFUSALS: Final = (
    ConversationIdTakenError,
    InvalidValueError,
    LimitExceededError,
    MessageIdTakenError,
)
_STDOUT: Final = "-"
_private = partial(os.open, mode=0o600)


@dataclass
class Tally:
    """How the lines of an import fared; `messages` are those of the imported conversations."""

    imported: int = 0
    already_there: int = 0
    refused: int = 0
    messages: int = 0

    def __str__(self) -> str:
        return (
            f"{self.imported} imported, {self.already_there} already there, "
            f"{self.refused} refused; {self.messages} messages imported"
        )


def _limit(limit_name: str, what: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return click.option(
        _option(limit_name),
        type=click.IntRange(0),
        metavar="N",
        help=f"{what}, for this import; 0 is no limit.  [default: the setting]",
    )


def _option(limit_name: str) -> str:
    return f"--{limit_name.replace('_', '-')}"


@click.command("import")
@click.argument("file", type=click.File("rb"))
@user_option
@_limit("max_user_message_chars", "Characters of a message of role user")
@_limit("max_message_chars", "Characters of any message")
@_limit("max_title_chars", "Characters of a title")
@_limit("max_metadata_bytes", "Bytes of metadata")
def import_(file: BinaryIO, user: UserId, **limits: int | None) -> None:
    """Add conversations to those of a user, who is added too if absent. FILE may be -, for stdin.

    It has one conversation a line, as JSON: {"source", "title", "created_at", "messages": [{"role",
    "content", "tool_calls", "tool_call_id", "name", "created_at"}]}. All but messages and role may
    be left out. What `export` writes is understood.

    Importing a file again adds nothing. A line that is refused is reported with its number, and
    the others go in; then the exit status is 1.
    """
    overrides = {name: limit for name, limit in limits.items() if limit is not None}
    tally = on_database(partial(_import, file, user, overrides))
    click.echo(str(tally))
    if tally.refused:
        sys.exit(1)


@click.command()
@user_option
@click.option(
    "--format", type=click.Choice(["jsonl"]), default="jsonl", show_default=True, expose_value=False
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    default=_STDOUT,
    help="The file to write.  [default: stdout]",
)
def export(user: UserId, output: Path) -> None:
    """Write all conversations of a user, one a line, as `import` reads them."""
    with _opened(output) as file:
        conversations, messages = on_database(partial(_export, file, user))
    click.echo(f"{conversations} conversations, {messages} messages exported", err=True)


async def _import(
    file: BinaryIO, user: UserId, overrides: dict[str, int], settings: Settings
) -> Tally:
    limits: Limits = replace(settings.limits, **overrides)
    tally = Tally()
    async with transfer_on(settings, limits) as transfer:
        with progress("importing", _size(file)) as advance:
            for number, line in numbered(file):
                try:
                    await _import_line(line, user, transfer, tally)
                except _REFUSALS as error:
                    tally.refused += 1
                    complain(f"{file.name}:{number}: {_reason(error)}")
                except Exception:
                    complain(f"{file.name}:{number}: stopped here: {tally}. Import again to go on.")
                    raise
                advance(len(line))
    if tally.messages > MANY_MESSAGES:
        try:
            await refresh_statistics(settings)
        except StoreUnavailableError as error:
            complain(f"All is in, but run ANALYZE on the database: {error}")
    return tally


async def _import_line(line: bytes, user: UserId, transfer: Transfer, tally: Tally) -> None:
    given = read(line)
    if await transfer.import_conversation(user, given):
        tally.imported += 1
        tally.messages += len(given.messages)
    else:
        tally.already_there += 1


async def _export(file: BinaryIO, user: UserId, settings: Settings) -> tuple[int, int]:
    """Return how many conversations and messages were written."""
    written = messages_written = 0
    async with transfer_on(settings, settings.limits) as transfer:
        with progress("exporting", await transfer.count(user)) as advance:
            async with aclosing(transfer.export(user)) as conversations:
                async for conversation, messages in conversations:
                    file.write(write(conversation, messages))
                    written += 1
                    messages_written += len(messages)
                    advance(1)
    return written, messages_written


def _reason(error: ChatkeepError) -> str:
    match error:
        case LimitExceededError():
            return (
                f"{error.field}: has {error.actual} {error.unit}; the limit is {error.limit} "
                f"(raise it with {_option(error.limit_name)})"
            )
        case ConversationIdTakenError():
            return f"id: {error.conversation_id} is another conversation of this user"
        case MessageIdTakenError():
            return f"messages: {error.message_id} is the id of another message of this user"
        case _:
            return str(error)


def _size(file: BinaryIO) -> int | None:
    path = Path(file.name)
    return path.stat().st_size if path.is_file() else None


@contextmanager
def _opened(output: Path) -> Iterator[BinaryIO]:
    """Open for writing. A file gets its name when it is whole; only its owner may read it."""
    if str(output) == _STDOUT:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    target = output.resolve()
    if target.exists() and not target.is_file():  # a pipe, a terminal
        with target.open("wb") as file:
            yield file
        return
    part = target.with_name(f"{target.name}.part")
    try:
        with open(part, "wb", opener=_private) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
