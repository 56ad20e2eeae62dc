"""What goes over the wire, in the shapes of OpenAI's Conversations API."""

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from msgspec import Meta, Raw, Struct

from domain.errors import InvalidValueError
from domain.item_use_cases import ItemPage, check_openai_metadata
from domain.items import Item, ItemText
from domain.model import EMPTY_OBJECT, Conversation, ConversationId, JsonText
from entrypoints.documents import metadata_text

AnyItem = Annotated[Raw, Meta(extra_json_schema={"type": "object"})]
Metadata = dict[str, str]


class CreateConversation(Struct, forbid_unknown_fields=True, kw_only=True):
    """A conversation to create, with its first items if you like."""

    items: list[AnyItem] | None = None
    metadata: Metadata | None = None


class UpdateConversation(Struct, forbid_unknown_fields=True, kw_only=True):
    """What replaces the metadata; null empties it."""

    metadata: Metadata | None


class CreateItems(Struct, forbid_unknown_fields=True, kw_only=True):
    """Items to append, all or none, in this order."""

    items: list[AnyItem]


class ConversationOut(Struct, kw_only=True):
    """A conversation, without its items. `created_at` is in seconds since 1970."""

    id: str
    created_at: int
    metadata: Annotated[Raw, Meta(extra_json_schema={"type": "object"})]
    object: Literal["conversation"] = "conversation"

    @classmethod
    def of(cls, conversation: Conversation) -> Self:
        return cls(
            id=written_id(conversation.id),
            created_at=int(conversation.created_at.timestamp()),
            metadata=Raw(conversation.metadata),
        )


class DeletedConversation(Struct, kw_only=True):
    """What is left of a conversation: its id."""

    id: str
    deleted: bool = True
    object: Literal["conversation.deleted"] = "conversation.deleted"


class ItemList(Struct, kw_only=True):
    """Items in the order asked for; the next page is `after=` the last id.

    Of an empty list the ids are empty.
    """

    data: list[AnyItem]
    first_id: str
    last_id: str
    has_more: bool
    object: Literal["list"] = "list"

    @classmethod
    def of(cls, items: Sequence[Item], *, has_more: bool = False) -> Self:
        return cls(
            data=[Raw(item.text) for item in items],
            first_id=items[0].id if items else "",
            last_id=items[-1].id if items else "",
            has_more=has_more,
        )

    @classmethod
    def of_page(cls, page: ItemPage) -> Self:
        return cls.of(page.items, has_more=page.has_more)


class ConversationList(Struct, kw_only=True):
    """Conversations, latest activity first; the next page is `after=` the last id."""

    data: list[ConversationOut]
    first_id: str
    last_id: str
    has_more: bool
    object: Literal["list"] = "list"

    @classmethod
    def of(cls, conversations: Sequence[Conversation], *, has_more: bool) -> Self:
        data = [ConversationOut.of(each) for each in conversations]
        return cls(
            data=data,
            first_id=data[0].id if data else "",
            last_id=data[-1].id if data else "",
            has_more=has_more,
        )


class ErrorDetail(Struct, kw_only=True):
    """`param` is the field or parameter that is wrong, if it is one."""

    message: str
    type: str
    param: str | None
    code: str | None


class Error(Struct, kw_only=True):
    error: ErrorDetail


def written_id(conversation_id: ConversationId) -> str:
    return f"conv_{conversation_id.hex}"


def texts(items: Sequence[Raw] | None) -> list[ItemText]:
    """Return the items as they were sent, or raise `InvalidValueError`."""
    found = []
    for index, item in enumerate(items or ()):
        try:
            found.append(ItemText(bytes(item).decode()))
        except UnicodeDecodeError:
            raise InvalidValueError(f"items[{index}]", "is not UTF-8") from None
    return found


def metadata(given: Metadata | None) -> JsonText:
    """Return metadata within OpenAI's limits, or raise `InvalidValueError`."""
    if not given:
        return EMPTY_OBJECT
    check_openai_metadata(given)
    return metadata_text(given)
