r"""The format that conversations are imported from and exported to: JSON Lines, one a line.

    {"source": ..., "title": ..., "created_at": ..., "messages": [{"role": ..., "content": ...}]}

Every key but `messages`, and `role` of each message, may be null or absent. Lines end with \n and
nothing else; the text is UTF-8. `source`, where a conversation came from, is kept in its metadata.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import MAXYEAR, MINYEAR, UTC, datetime
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from domain.errors import InvalidValueError
from domain.model import (
    EMPTY_OBJECT,
    Conversation,
    ConversationId,
    JsonText,
    Message,
    MessageId,
    NewMessage,
    Role,
    Status,
)
from domain.transfer import GivenConversation
from entrypoints.documents import json_text, metadata_text, tool_calls_text

SOURCE: Final = "source"
_BOM: Final = b"\xef\xbb\xbf"
# How msgspec ends what it says of a value that does not fit, and how it names a key.
_PATH: Final = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")
_KEY: Final = re.compile(r"field `(?P<key>[^`]*)`$")

Time = Annotated[datetime, Meta(tz=True)]


class _GivenMessage(Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    role: Role
    content: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None
    name: str | None = None
    metadata: dict[str, Any] | None = None
    id: UUID | None = None
    created_at: Time | None = None


class _GivenLine(Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    messages: list[_GivenMessage]
    source: str | None = None
    title: str | None = None
    status: Status | None = None
    metadata: dict[str, Any] | None = None
    id: UUID | None = None
    created_at: Time | None = None
    updated_at: Time | None = None


class _Message(Struct, kw_only=True):
    role: Role
    content: str | None
    tool_calls: Raw | UnsetType = UNSET
    tool_call_id: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    metadata: Raw | UnsetType = UNSET
    id: UUID
    created_at: datetime


class _Line(Struct, kw_only=True):
    source: str | UnsetType
    title: str | None
    status: Status
    metadata: Raw | UnsetType
    id: UUID
    created_at: datetime
    updated_at: datetime
    messages: list[_Message]


_decoder: Final = msgspec.json.Decoder(_GivenLine)
_encoder: Final = msgspec.json.Encoder()
_canonical: Final = msgspec.json.Encoder(order="sorted")
_metadata: Final = msgspec.json.Decoder(dict[str, Any])


def numbered(file: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of a file that is open for bytes with their numbers, without empty ones."""
    for number, line in enumerate(file, 1):
        text = line.removeprefix(_BOM) if number == 1 else line
        if text.strip():
            yield number, text


def read(line: bytes) -> GivenConversation:
    """Return the conversation that a line gives. Raises `InvalidValueError` naming the field."""
    given = _decoded(line)
    return GivenConversation(
        canonical=_canonical.encode(given).decode(),
        id=None if given.id is None else ConversationId(given.id),
        title=given.title,
        status=given.status or Status.ACTIVE,
        metadata=_with_source(given.metadata, given.source),
        created_at=_utc(given.created_at, "created_at"),
        updated_at=_utc(given.updated_at, "updated_at"),
        messages=tuple(
            _new_message(message, f"messages[{index}]")
            for index, message in enumerate(given.messages)
        ),
    )


def write(conversation: Conversation, messages: Sequence[Message]) -> bytes:
    """Return the line, with its end, that gives this conversation."""
    source, metadata = _without_source(conversation.metadata)
    line = _Line(
        source=source,
        title=conversation.title,
        status=conversation.status,
        metadata=_raw(metadata),
        id=conversation.id,
        created_at=conversation.created_at,
        updated_at=conversation.updated_at,
        messages=[_message(message) for message in messages],
    )
    return _encoder.encode(line) + b"\n"


def _decoded(line: bytes) -> _GivenLine:
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        raise InvalidValueError(
            "line", f"is not UTF-8: {error.object[error.start]:#x} at byte {error.start + 1}"
        ) from error
    try:
        return _decoder.decode(text)
    except msgspec.ValidationError as error:
        raise _misfit(str(error)) from error
    except msgspec.DecodeError as error:
        raise InvalidValueError("line", f"is not JSON: {error}") from error
    except RecursionError as error:
        raise InvalidValueError("line", "is nested too deep") from error


def _misfit(said: str) -> InvalidValueError:
    at = _PATH.search(said)
    reason = said[: at.start()] if at else said
    key = _KEY.search(reason)
    names = [at["path"] if at else "", key["key"] if key else ""]
    return InvalidValueError(".".join(filter(None, names)) or "line", reason)


def _new_message(message: _GivenMessage, field: str) -> NewMessage:
    return NewMessage(
        role=message.role,
        content=message.content,
        tool_calls=tool_calls_text(message.tool_calls, field=f"{field}.tool_calls"),
        tool_call_id=message.tool_call_id,
        name=message.name,
        metadata=metadata_text(message.metadata, field=f"{field}.metadata"),
        id=None if message.id is None else MessageId(message.id),
        created_at=_utc(message.created_at, f"{field}.created_at"),
    )


def _message(message: Message) -> _Message:
    return _Message(
        role=message.role,
        content=message.content,
        tool_calls=UNSET if message.tool_calls is None else Raw(message.tool_calls),
        tool_call_id=UNSET if message.tool_call_id is None else message.tool_call_id,
        name=UNSET if message.name is None else message.name,
        metadata=_raw(message.metadata),
        id=message.id,
        created_at=message.created_at,
    )


def _utc(time: datetime | None, field: str) -> datetime | None:
    if time is None:
        return None
    # A year's distance, since offsets overflow there, and Postgres takes the ends for infinity.
    if not MINYEAR < time.year < MAXYEAR:
        raise InvalidValueError(field, f"is of the year {time.year}, which is out of range")
    return time.astimezone(UTC)


def _with_source(metadata: dict[str, Any] | None, source: str | None) -> JsonText:
    if source is None:
        return metadata_text(metadata)
    if metadata and SOURCE in metadata:
        raise InvalidValueError(f"metadata.{SOURCE}", f"stands beside {SOURCE}: give one of them")
    return json_text({**(metadata or {}), SOURCE: source}, field="metadata")


def _without_source(metadata: JsonText) -> tuple[str | UnsetType, JsonText]:
    if SOURCE not in metadata:
        return UNSET, metadata
    entries = _metadata.decode(metadata)
    source = entries.pop(SOURCE, None)
    if not isinstance(source, str):
        return UNSET, metadata
    return source, metadata_text(entries)


def _raw(metadata: JsonText) -> Raw | UnsetType:
    return UNSET if metadata == EMPTY_OBJECT else Raw(metadata)
