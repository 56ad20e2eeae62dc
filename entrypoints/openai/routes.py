"""/openai/v1/conversations: OpenAI's Conversations API, on the same conversations as /v1."""

import re
from collections.abc import Sequence
from typing import Annotated, Final
from urllib.parse import unquote_to_bytes
from uuid import UUID

from litestar import delete, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.middleware import ASGIMiddleware
from litestar.params import FromPath, FromQuery, JSONBody, Parameter
from msgspec import Raw

from chatkeep.domain.errors import InvalidValueError, NotFoundError
from chatkeep.domain.ids import of_user, parse_id
from chatkeep.domain.item_use_cases import OpenAIConversations
from chatkeep.domain.items import ItemId
from chatkeep.domain.model import ConversationId, Order
from chatkeep.domain.use_cases import Chatkeep
from chatkeep.entrypoints.http.auth.authentication import require_user
from chatkeep.entrypoints.http.body import JsonRequest
from chatkeep.entrypoints.http.ids import decode_segment
from chatkeep.entrypoints.http.metrics.request_metrics import Metrics
from chatkeep.entrypoints.http.router import Router
from chatkeep.entrypoints.http.routing import check_size
from chatkeep.entrypoints.http.validation import shorten
from chatkeep.entrypoints.openai.schemas import (
    ConversationList,
    ConversationOut,
    CreateConversation,
    CreateItems,
    DeletedConversation,
    ItemList,
    UpdateConversation,
    format_id,
    parse_items,
    parse_metadata,
)
from chatkeep.entrypoints.settings import Settings

_CONVERSATION: Final = re.compile(r"conv_([0-9a-f]{32})")
_RETRIES: Final = re.compile(r"0*[1-9][0-9]*")
_BEFORE_CONVERSATION_ID: Final = b"/conversations/"
_BEFORE_ITEM_ID: Final = b"/items/"
_DEFAULT_LIMIT: Final = 20

Limit = Annotated[int, Parameter(description="brought between 1 and 100")]
After = Annotated[str | None, Parameter(description="only those after the one with this id")]


class UnknownConversationError(NotFoundError):
    """A path has the id of an unknown conversation."""

    def __init__(self, given: str) -> None:
        super().__init__(f"Conversation with id {shorten(given)!r} not found.")


def openai_api(
    chatkeep: Chatkeep, settings: Settings, middleware: Sequence[ASGIMiddleware], metrics: Metrics
) -> Router:
    """Return the routes below /openai. `middleware` is that of the other routes."""
    openai = OpenAIConversations.from_chatkeep(chatkeep)
    return Router(
        "/openai/v1/conversations",
        include_in_schema=False,
        middleware=list(middleware),
        before_request=check_size,
        request_max_body_size=settings.openai_max_body_bytes or None,
        route_handlers=[*_conversation_routes(openai), *_item_routes(openai, metrics)],
    )


def _conversation_routes(openai: OpenAIConversations) -> list[HTTPRouteHandler]:
    @post("/", status_code=200)
    async def create(
        request: JsonRequest, data: JSONBody[CreateConversation | None] = None
    ) -> ConversationOut:
        given = data or CreateConversation()
        items, pairs = await request.convert(
            lambda: (
                parse_items(given.items, openai.limits, may_be_null=True),
                parse_metadata(given.metadata),
            )
        )
        return ConversationOut.from_domain(
            await openai.create(
                require_user(request.user),
                items,
                metadata=pairs,
                key=request.headers.get("idempotency-key"),
            )
        )

    @get("/")
    async def list_conversations(
        request: JsonRequest,
        limit: FromQuery[Limit] = _DEFAULT_LIMIT,
        after: FromQuery[After] = None,
    ) -> ConversationList:
        page = await openai.list_conversations(
            require_user(request.user),
            after=_parse_conversation_id(request, after) if after else None,
            limit=limit,
        )
        return ConversationList.from_domain(page.items, has_more=page.more)

    @get("/{conversation_id:str}")
    async def get_one(request: JsonRequest, conversation_id: FromPath[str]) -> ConversationOut:
        return ConversationOut.from_domain(
            await openai.get_conversation(
                require_user(request.user), _conversation_id(request, conversation_id)
            )
        )

    @post("/{conversation_id:str}", status_code=200)
    async def update(
        request: JsonRequest, conversation_id: FromPath[str], data: JSONBody[UpdateConversation]
    ) -> ConversationOut:
        pairs = await request.convert(lambda: parse_metadata(data.metadata))
        return ConversationOut.from_domain(
            await openai.change(
                require_user(request.user), _conversation_id(request, conversation_id), pairs
            )
        )

    @delete("/{conversation_id:str}", status_code=200)
    async def delete_one(
        request: JsonRequest, conversation_id: FromPath[str]
    ) -> DeletedConversation:
        found = _conversation_id(request, conversation_id)
        await openai.delete_conversation(
            require_user(request.user), found, is_retry=_is_retry(request)
        )
        return DeletedConversation(id=format_id(found))

    return [create, list_conversations, get_one, update, delete_one]


def _item_routes(openai: OpenAIConversations, metrics: Metrics) -> list[HTTPRouteHandler]:
    @post("/{conversation_id:str}/items", status_code=200)
    async def append(
        request: JsonRequest, conversation_id: FromPath[str], data: JSONBody[CreateItems]
    ) -> ItemList:
        items = await openai.append(
            require_user(request.user),
            _conversation_id(request, conversation_id),
            await request.convert(lambda: parse_items(data.items, openai.limits)),
            key=request.headers.get("idempotency-key"),
            is_retry=_is_retry(request),
        )
        # This API does not ask for the length of the conversation.
        metrics.record_append(len(items), over_soft_limit=False)
        return ItemList.from_domain(items)

    @get("/{conversation_id:str}/items")
    async def list_items(
        request: JsonRequest,
        conversation_id: FromPath[str],
        limit: FromQuery[Limit] = _DEFAULT_LIMIT,
        order: FromQuery[Order] = Order.DESC,
        after: FromQuery[After] = None,
    ) -> ItemList:
        return ItemList.of_page(
            await openai.list(
                require_user(request.user),
                _conversation_id(request, conversation_id),
                order=order,
                after=ItemId(after) if after else None,
                limit=limit,
            )
        )

    @get("/{conversation_id:str}/items/{item_id:path}")
    async def get_item(request: JsonRequest, conversation_id: FromPath[str]) -> Raw:
        item = await openai.get(
            require_user(request.user),
            _conversation_id(request, conversation_id),
            _item_id(request),
        )
        return Raw(item.text)

    @delete("/{conversation_id:str}/items/{item_id:path}", status_code=200)
    async def delete_item(request: JsonRequest, conversation_id: FromPath[str]) -> ConversationOut:
        return ConversationOut.from_domain(
            await openai.delete(
                require_user(request.user),
                _conversation_id(request, conversation_id),
                _item_id(request),
                is_retry=_is_retry(request),
            )
        )

    return [append, list_items, get_item, delete_item]


def _conversation_id(request: JsonRequest, encoded: str) -> ConversationId:
    """Return the id of a conversation in a path: `conv_` and its key, or its native id."""
    try:
        return _parse_conversation_id(request, decode_segment(encoded, "conversation_id"))
    except InvalidValueError:
        raise UnknownConversationError(encoded) from None


def _parse_conversation_id(request: JsonRequest, given: str) -> ConversationId:
    found = _CONVERSATION.fullmatch(given)
    if found is not None:
        return ConversationId(UUID(found[1]))
    try:
        return of_user(require_user(request.user), parse_id(given))
    except InvalidValueError:
        raise UnknownConversationError(given) from None


def _is_retry(request: JsonRequest) -> bool:
    """Return whether an SDK marks this request as a retry."""
    return _RETRIES.fullmatch(request.headers.get("x-stainless-retry-count", "")) is not None


def _item_id(request: JsonRequest) -> ItemId:
    """Return the item's id at the end of the raw path: Litestar's parameter would lose slashes."""
    # The id of the conversation has no slash, but may be `items`.
    _, _, rest = request.scope["raw_path"].partition(_BEFORE_CONVERSATION_ID)
    _, _, encoded = rest.lstrip(b"/").partition(_BEFORE_ITEM_ID)
    try:
        return ItemId(unquote_to_bytes(encoded).decode())
    except UnicodeDecodeError:
        raise InvalidValueError("item_id", "is not percent-encoded UTF-8") from None
