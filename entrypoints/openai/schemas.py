"""The requests and responses of OpenAI's Conversations API."""

from collections.abc import Sequence
from itertools import islice
from typing import Annotated, Final, Literal, Self

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from chatkeep.domain import json_values
from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.item_use_cases import (
    MAX_METADATA_CHARS,
    MAX_METADATA_PAIRS,
    ItemPage,
    check_openai_metadata,
)
from chatkeep.domain.items import Item, ItemText
from chatkeep.domain.json_fields import metadata_text
from chatkeep.domain.model import EMPTY_OBJECT, Conversation, ConversationId, JsonText, Limits
from chatkeep.entrypoints.http.json_documents import decode_document, encode, minimal_size

AnyItem = Annotated[Raw, Meta(extra_json_schema={"type": "object"})]
_LIST: Final = {"type": "array", "items": {"type": "object"}}
_PAIRS: Final = {"type": ["object", "null"], "additionalProperties": {"type": "string"}}
# `parse_items` and `parse_metadata` decode them, after they have counted the contents.
Items = Annotated[Raw, Meta(extra_json_schema=_LIST)]
ItemsOrNull = Annotated[Raw, Meta(extra_json_schema={**_LIST, "type": ["array", "null"]})]
Metadata = Annotated[Raw, Meta(extra_json_schema=_PAIRS)]

_MANY: Final = 50_000
"""The most items that are decoded before they are counted."""

_decode_items: Final = msgspec.json.Decoder(list[Raw]).decode
_decode_items_or_null: Final = msgspec.json.Decoder(list[Raw] | None).decode
_decode_metadata: Final = msgspec.json.Decoder(dict[str, str] | None).decode


class CreateConversation(Struct, forbid_unknown_fields=True, kw_only=True):
    """A conversation to create, with its first items if you like."""

    items: ItemsOrNull | UnsetType = UNSET
    metadata: Metadata | UnsetType = UNSET


class UpdateConversation(Struct, forbid_unknown_fields=True, kw_only=True):
    """New metadata to replace the old; null empties it."""

    metadata: Metadata


class CreateItems(Struct, forbid_unknown_fields=True, kw_only=True):
    """Items to append, all or none, in this order."""

    items: Items


class ConversationOut(Struct, kw_only=True):
    """A conversation, without its items. `created_at` is in seconds since 1970."""

    id: str
    created_at: int
    metadata: Annotated[Raw, Meta(extra_json_schema={"type": "object"})]
    object: Literal["conversation"] = "conversation"

    @classmethod
    def from_domain(cls, conversation: Conversation) -> Self:
        return cls(
            id=format_id(conversation.id),
            created_at=int(conversation.created_at.timestamp()),
            metadata=Raw(conversation.metadata),
        )


class DeletedConversation(Struct, kw_only=True):
    """The id of a deleted conversation."""

    id: str
    deleted: bool = True
    object: Literal["conversation.deleted"] = "conversation.deleted"


class ItemList(Struct, kw_only=True):
    """Items in the requested order; the next page starts `after=` the last id.

    The ids of an empty list are empty.
    """

    data: list[AnyItem]
    first_id: str
    last_id: str
    has_more: bool
    object: Literal["list"] = "list"

    @classmethod
    def from_domain(cls, items: Sequence[Item], *, has_more: bool = False) -> Self:
        return cls(
            data=[Raw(item.text) for item in items],
            first_id=items[0].id if items else "",
            last_id=items[-1].id if items else "",
            has_more=has_more,
        )

    @classmethod
    def of_page(cls, page: ItemPage) -> Self:
        return cls.from_domain(page.items, has_more=page.has_more)


class ConversationList(Struct, kw_only=True):
    """Conversations, latest activity first; the next page starts `after=` the last id."""

    data: list[ConversationOut]
    first_id: str
    last_id: str
    has_more: bool
    object: Literal["list"] = "list"

    @classmethod
    def from_domain(cls, conversations: Sequence[Conversation], *, has_more: bool) -> Self:
        data = [ConversationOut.from_domain(each) for each in conversations]
        return cls(
            data=data,
            first_id=data[0].id if data else "",
            last_id=data[-1].id if data else "",
            has_more=has_more,
        )


class ErrorDetail(Struct, kw_only=True):
    """`param` is the wrong field or parameter, if there is one."""

    message: str
    type: str
    param: str | None
    code: str | None


class Error(Struct, kw_only=True):
    error: ErrorDetail


def format_id(conversation_id: ConversationId) -> str:
    return f"conv_{conversation_id.hex}"


def parse_items(
    given: Raw | UnsetType, limits: Limits, *, may_be_null: bool = False
) -> list[ItemText]:
    """Return the items as they were sent. Raises `InvalidValueError` naming the field."""
    if isinstance(given, UnsetType):
        return []
    document = bytes(given)
    if limits.max_items and document.count(b",") > _MANY and _are_more(document, limits.max_items):
        limits.check("max_items", None, field="items", unit="items")
    decode = _decode_items_or_null if may_be_null else _decode_items
    found = []
    for index, item in enumerate(decode_document(decode, document, "items") or ()):
        try:
            found.append(ItemText(bytes(item).decode()))
        except UnicodeDecodeError:
            raise InvalidValueError(f"items[{index}]", "is not UTF-8") from None
    return found


def parse_metadata(given: Raw | UnsetType) -> JsonText:
    """Return metadata within OpenAI's limits. Raises `InvalidValueError`."""
    if isinstance(given, UnsetType):
        return EMPTY_OBJECT
    document = bytes(given)
    if minimal_size(document) > MAX_METADATA_CHARS:
        raise InvalidValueError(
            "metadata", f"has more than {MAX_METADATA_PAIRS} pairs, or very long ones"
        )
    pairs = decode_document(_decode_metadata, document, "metadata")
    if not pairs:
        return EMPTY_OBJECT
    check_openai_metadata(pairs)
    return metadata_text(pairs, encode=encode)


def _are_more(document: bytes, most: int) -> bool:
    """Return whether a list has more than `most` elements."""
    try:  # Latin-1 works: only JSON strings contain other characters than ASCII
        elements = json_values.elements(document.decode("latin-1"))
        return next(islice(elements, most, None), None) is not None
    except json_values.TooManyValuesError as error:
        raise InvalidValueError("items", f"contains an item that {error}") from None
    except ValueError:  # not a list
        return False
