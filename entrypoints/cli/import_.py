"""`chatkeep import`: straight on the database, through the use cases."""

import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, fields, replace
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Final

import click

from chatkeep.domain.errors import (
    ChatkeepError,
    ConversationIdTakenError,
    InvalidValueError,
    LimitExceededError,
    MessageIdTakenError,
)
from chatkeep.domain.formats.codec import Line
from chatkeep.domain.formats.table import READERS, FileFormat, read_any
from chatkeep.domain.model import Limits, UserId
from chatkeep.domain.operations.transfer import ConversationGrownError, Transfer
from chatkeep.entrypoints.bootstrap.use_cases import transfer_on
from chatkeep.entrypoints.cli.import_counts import ImportCounts
from chatkeep.entrypoints.cli.options import (
    Advance,
    on_database,
    progress,
    update_planner,
    user_option,
    warn,
)
from chatkeep.entrypoints.formats.decoding import decode, find_originals
from chatkeep.entrypoints.formats.input_files import InputFile, InputFiles
from chatkeep.entrypoints.formats.json_stream import BrokenFileError, Element, Readable, elements
from chatkeep.entrypoints.settings import Settings

MAX_CONVERSATION_BYTES: Final = 64 * 1024 * 1024
"""One conversation of a file is held in memory, some times its size there."""

_AUTO: Final = "auto"
_REFUSALS: Final = (
    ConversationGrownError,
    ConversationIdTakenError,
    InvalidValueError,
    LimitExceededError,
    MessageIdTakenError,
)


def _limit(limit_name: str, what: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return click.option(
        _option(limit_name),
        type=click.IntRange(0),
        metavar="N",
        help=f"The most {what}; 0 means no limit.",
    )


def _option(limit_name: str) -> str:
    return f"--{limit_name.replace('_', '-')}"


@click.command("import")
@click.argument(
    "paths",
    metavar="PATH...",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, allow_dash=True, path_type=Path),
)
@user_option
@click.option(
    "--format",
    "format_",
    type=click.Choice([_AUTO, *(each.value for each in FileFormat)]),
    default=_AUTO,
    show_default=True,
    help="The format of the files. auto: recognized for each conversation.",
)
@click.option(
    "--max-conversation-bytes",
    type=click.IntRange(0),
    default=MAX_CONVERSATION_BYTES,
    show_default=True,
    metavar="N",
    help="The most bytes of one conversation, which is held in memory; 0 means no limit.",
)
@click.option(
    "--without-originals",
    "originals",
    flag_value=False,
    default=True,
    help="Do not keep the document of each message as it is in the file, besides what was read.",
)
@click.option(
    "--enforce-limits",
    is_flag=True,
    help="Refuse texts that the API would refuse because of their length.",
)
@_limit("max_user_message_chars", "characters of a message of role user")
@_limit("max_message_chars", "characters of any message")
@_limit("max_title_chars", "characters of a title")
@_limit("max_metadata_bytes", "bytes of metadata")
@_limit("max_item_bytes", "bytes of an item of OpenAI's API, an original, or content parts")
def import_(  # noqa: PLR0913 - the options of a command
    paths: tuple[Path, ...],
    user: UserId,
    format_: str,
    max_conversation_bytes: int,
    *,
    originals: bool,
    enforce_limits: bool,
    **limits: int | None,
) -> None:
    """Add conversations to a user, who is added if absent.

    PATH is a file, a ZIP archive, or a folder with files and archives; - is stdin. Exports of
    ChatGPT and Claude.ai can be given as they were downloaded. Nothing is unpacked.

    The formats, which docs/transfer.md describes:

    \b
      jsonl      what `export` writes: {"source", "title", "created_at", "messages":
                 [{"role", "content", "tool_calls", "tool_call_id", "name",
                 "created_at"}]}. All but messages and role may be left out.
      chatgpt    conversations.json of ChatGPT's data export
      claude-ai  conversations.json of Claude.ai's data export
      openai     OpenAI's chat format, as for fine-tuning: {"messages", "tools"}
      sharegpt   {"id", "conversations": [{"from", "value"}]}
      ai-sdk     {"id", "messages": [{"id", "role", "parts"}]}, Vercel's AI SDK
      anthropic  {"system", "messages": [{"role", "content": text or blocks}]}

    Each as JSON Lines, one conversation a line, or as a JSON array of conversations.

    Each message keeps its document of the file as its original, byte for byte, unless
    --without-originals is given. Importing a file again adds nothing. A conversation that is
    refused is reported with its place in the file, and the others are imported; then the exit
    status is 1. What has a place only in the metadata is counted by its name, and files of archives
    and folders that have no conversations are listed. Texts may have any length, unless
    --enforce-limits or one of the --max options limits it.
    """  # noqa: D301 - \b tells click to leave the lines as they are
    given = {name: limit for name, limit in limits.items() if limit is not None}
    source = _Source(InputFiles.find(paths), format_, max_conversation_bytes, originals)
    counts = on_database(partial(_import, source, user, given, enforce_limits=enforce_limits))
    for line in counts.lines():
        click.echo(line)
    if counts.refused:
        sys.exit(1)


@dataclass
class _Source:
    """Files to import from, of a format."""

    files: InputFiles
    format: str
    max_bytes: int
    originals: bool

    def elements(self, file: Readable) -> Iterator[Element]:
        is_lines = self.format == FileFormat.JSONL
        return elements(file, max_bytes=self.max_bytes, lines=is_lines)

    def has_conversations(self, first: Element) -> bool:
        """Return whether a file that begins like this is for an import, or wrong."""
        if first.data is None:
            return True
        try:
            document = decode(first.data)
        except InvalidValueError:
            return True
        return any(reader.recognizes(document) for reader in READERS.values())

    def read(self, element: Element) -> Line:
        if element.data is None:
            raise InvalidValueError(
                "conversation",
                f"has {element.size} bytes; the limit is {self.max_bytes} "
                "(raise it with --max-conversation-bytes)",
            )
        document = decode(element.data)
        find = partial(find_originals, element.data) if self.originals else None
        if self.format == _AUTO:
            return read_any(document, find)
        return READERS[FileFormat(self.format)].read(document, find)


@dataclass
class _Watched:
    """A file that reports how much of it was read."""

    file: Readable
    advance: Advance
    taken: int = 0

    def read1(self, size: int, /) -> bytes:
        data = self.file.read1(size)
        self.taken += len(data)
        self.advance(len(data))
        return data


async def _import(
    source: _Source,
    user: UserId,
    given: dict[str, int],
    settings: Settings,
    *,
    enforce_limits: bool,
) -> ImportCounts:
    limits = _limits(settings, given, enforced=enforce_limits)
    counts = ImportCounts(passed_over=[*source.files.passed_over])
    for name, reason in source.files.unreadable:
        warn(f"{name}: {reason}")
        counts.refused += 1
    async with transfer_on(settings, limits) as transfer:
        with progress("importing", source.files.size) as advance:
            import_one = partial(_import_one, user, transfer)
            for file in source.files.found:
                await _import_file(source, file, import_one, counts, advance)
    await update_planner(settings, counts.messages)
    return counts


def _limits(settings: Settings, given: dict[str, int], *, enforced: bool) -> Limits | None:
    """Return the limits to enforce: those given, and if `enforced` also all of the settings."""
    if enforced:
        return replace(settings.limits, **given)
    if any(given.values()):
        return Limits(**{each.name: 0 for each in fields(Limits)} | given)
    return None


async def _import_file(
    source: _Source,
    file: InputFile,
    import_one: Callable[[Line, ImportCounts], Awaitable[None]],
    counts: ImportCounts,
    advance: Advance,
) -> None:
    place = ""
    try:
        with file.open() as opened:
            watched = _Watched(opened, advance)
            found = source.elements(watched)
            first = [*islice(found, 1)]
            if not file.is_certain and not any(map(source.has_conversations, first)):
                counts.passed_over.append(file.name)
                advance(max(0, (file.size or 0) - watched.taken))
                return
            for element in chain(first, found):
                place = element.place
                try:
                    await import_one(source.read(element), counts)
                except _REFUSALS as error:
                    counts.refused += 1
                    warn(f"{file.name}:{place}: {_reason(error)}")
    except BrokenFileError as error:
        warn(f"{file.name}: {error}")
        warn(f"{file.name}: stopped here: {counts}. Correct the file and import it again.")
        counts.refused += 1
    except Exception:
        warn(f"{file.name}:{place}: stopped here: {counts}. Import it again to continue.")
        raise


async def _import_one(user: UserId, transfer: Transfer, given: Line, counts: ImportCounts) -> None:
    if await transfer.import_conversation(user, given):
        counts.imported += 1
        counts.messages += len(given.messages)
        counts.without_place.update(given.without_place)
    else:
        counts.already_there += 1


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
