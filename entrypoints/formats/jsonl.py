r"""The service's own format, to import from and to export to: JSON Lines, one conversation a line.

    {"source": ..., "title": ..., "created_at": ..., "messages": [{"role": ..., "content": ...}]}

Every key but `messages`, and `role` of each message, may be null or absent. Lines end with \n and
nothing else; the text is UTF-8. `source`, where a conversation came from, is kept in its metadata.
What came through OpenAI's API is exact in `item`, a JSON text in a string; among the messages
stands, without a `role`, what is an item and no message.
"""

from datetime import MAXYEAR, MINYEAR, UTC, datetime
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from chatkeep.domain.entries import Entry, GivenEntry
from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.formats.openai_items import Draft, drafted
from chatkeep.domain.items import ItemText, message_id_in
from chatkeep.domain.model import (
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
from chatkeep.domain.operations.transfer import GivenConversation, Piece
from chatkeep.entrypoints.formats.decoding import decoded
from chatkeep.entrypoints.json_fields import json_text, metadata_text, tool_calls_text

SOURCE: Final = "source"

Time = Annotated[datetime, Meta(tz=True)]


class GivenMessage(Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    role: Role | None = None
    content: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None
    name: str | None = None
    metadata: dict[str, Any] | None = None
    id: UUID | None = None
    created_at: Time | None = None
    item: str | None = None


class GivenLine(Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    messages: list[GivenMessage]
    source: str | None = None
    title: str | None = None
    status: Status | None = None
    metadata: dict[str, Any] | None = None
    retain: bool | None = None
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
    item: str | UnsetType = UNSET


class _Item(Struct, kw_only=True):
    item: str
    created_at: datetime


class _Head(Struct, kw_only=True):
    source: str | UnsetType
    title: str | None
    status: Status
    metadata: Raw | UnsetType
    retain: bool | UnsetType
    id: UUID
    created_at: datetime
    updated_at: datetime


_decoder: Final = msgspec.json.Decoder(GivenLine)
_encoder: Final = msgspec.json.Encoder()
_canonical: Final = msgspec.json.Encoder(order="sorted")
_metadata: Final = msgspec.json.Decoder(dict[str, Any])
_any: Final = msgspec.json.Decoder(Any)
_raw_json: Final = msgspec.json.Decoder(Raw)


def read(data: bytes) -> GivenConversation:
    """Return the conversation that a line gives. Raises `InvalidValueError` naming the field."""
    return conversation(decoded(_decoder, data))


def conversation(given: GivenLine, *, canonical: str | None = None) -> GivenConversation:
    """Return the conversation of a line; `canonical` is an id that its source has for it."""
    return GivenConversation(
        canonical=canonical or _canonical.encode(given).decode(),
        may_grow=canonical is not None,
        id=None if given.id is None else ConversationId(given.id),
        title=given.title,
        status=given.status or Status.ACTIVE,
        metadata=_with_source(given.metadata, given.source),
        retain=given.retain or False,
        created_at=_utc(given.created_at, "created_at"),
        updated_at=_utc(given.updated_at, "updated_at"),
        entries=tuple(
            _entry(message, f"messages[{index}]") for index, message in enumerate(given.messages)
        ),
    )


class JsonLines:
    """Writes what `read` reads. A line is written in pieces, as they come."""

    def __init__(self) -> None:
        self._separator = b""

    def write(self, piece: Piece) -> bytes:
        parts = []
        if piece.is_first:
            self._separator = b""
            head = _encoder.encode(_head(piece.conversation))
            parts += [head[:-1], b',"messages":[']
        for entry in piece.entries:
            parts += [self._separator, _encoder.encode(_written(entry))]
            self._separator = b","
        if piece.is_last:
            parts.append(b"]}\n")
        return b"".join(parts)


def _entry(given: GivenMessage, field: str) -> GivenEntry:
    created_at = _utc(given.created_at, f"{field}.created_at")
    if given.role is None:
        return _item_alone(given, created_at, field)
    draft = None if given.item is None else _item(given.item, f"{field}.item")
    is_of_item = draft is not None and _says_the_same(given, draft.message)
    message = NewMessage(
        role=given.role,
        content=given.content,
        tool_calls=_tool_calls(given, f"{field}.tool_calls", checked=not is_of_item),
        tool_call_id=given.tool_call_id,
        name=given.name,
        metadata=metadata_text(given.metadata, field=f"{field}.metadata"),
        id=None if given.id is None else MessageId(given.id),
        created_at=created_at,
    )
    if draft is None:
        return GivenEntry(message=message)
    if draft.id is not None and message_id_in(draft.id) not in {None, given.id}:
        raise InvalidValueError(f"{field}.item.id", "is made of the id of another message")
    return GivenEntry(
        message=message,
        item=ItemText(draft.canonical()),
        item_id=draft.id,
        is_of_item=is_of_item,
    )


def _tool_calls(given: GivenMessage, field: str, *, checked: bool) -> JsonText | None:
    if checked or given.tool_calls is None:
        return tool_calls_text(given.tool_calls, field=field)
    return json_text(given.tool_calls, field=field)


def _says_the_same(given: GivenMessage, message: NewMessage | None) -> bool:
    if message is None:
        return False
    calls: Any = None if message.tool_calls is None else _any.decode(message.tool_calls)
    return (
        given.role is message.role
        and given.content == message.content
        and given.tool_call_id == message.tool_call_id
        and given.name is None
        and given.metadata is None
        and given.tool_calls == calls
    )


def _item_alone(given: GivenMessage, created_at: datetime | None, field: str) -> GivenEntry:
    if given.item is None:
        raise InvalidValueError(f"{field}.role", "is missing")
    if given != GivenMessage(item=given.item, created_at=given.created_at):
        raise InvalidValueError(f"{field}.role", "is missing beside what a message has")
    draft = _item(given.item, f"{field}.item")
    if draft.message is not None:
        raise InvalidValueError(f"{field}.role", "is missing: this item is a message")
    return GivenEntry(
        message=None,
        item=ItemText(draft.canonical()),
        item_id=draft.id,
        created_at=created_at,
    )


def _item(text: str, field: str) -> Draft:
    try:
        _raw_json.decode(text)  # half surrogate pairs are refused, numbers of any size taken
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidValueError(field, f"is not JSON in a string: {error}") from error
    draft = drafted(ItemText(text), field=field)
    if draft.id is None:
        raise InvalidValueError(f"{field}.id", "is missing")
    return draft


def _head(conversation: Conversation) -> _Head:
    source, metadata = _without_source(conversation.metadata)
    return _Head(
        source=source,
        title=conversation.title,
        status=conversation.status,
        metadata=_raw(metadata),
        retain=conversation.retain or UNSET,
        id=conversation.id,
        created_at=conversation.created_at,
        updated_at=conversation.updated_at,
    )


def _written(entry: Entry) -> _Message | _Item:
    if entry.message is not None:
        return _message(entry.message, entry.item)
    return _Item(item=entry.item or "", created_at=entry.created_at)


def _message(message: Message, item: ItemText | None) -> _Message:
    return _Message(
        role=message.role,
        content=message.content,
        tool_calls=UNSET if message.tool_calls is None else Raw(message.tool_calls),
        tool_call_id=UNSET if message.tool_call_id is None else message.tool_call_id,
        name=UNSET if message.name is None else message.name,
        metadata=_raw(message.metadata),
        id=message.id,
        created_at=message.created_at,
        item=UNSET if item is None else item,
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
