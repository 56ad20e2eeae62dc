"""The use cases of OpenAI's Conversations API, on the same ports as the native ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from typing import Final, Self

from chatkeep.domain.errors import (
    ConversationNotFoundError,
    InvalidValueError,
    ItemIdTakenError,
    ItemNotFoundError,
)
from chatkeep.domain.finding import LastSeen
from chatkeep.domain.formats.openai_items import ParsedItem, parse_item
from chatkeep.domain.item_log import ItemLog
from chatkeep.domain.items import Item, ItemId, ItemText
from chatkeep.domain.log import RequestKey
from chatkeep.domain.model import (
    Changes,
    Conversation,
    ConversationId,
    JsonText,
    Limits,
    Order,
    Status,
    UserId,
    uuid7,
)
from chatkeep.domain.pages import Page
from chatkeep.domain.ports import Clock, Conversations, Log
from chatkeep.domain.request_keys import check_key, keyed_conversation_id
from chatkeep.domain.threads import run_aside
from chatkeep.domain.use_cases import Chatkeep

MAX_PAGE: Final = 100
MAX_METADATA_PAIRS: Final = 16
MAX_METADATA_KEY_CHARS: Final = 64
MAX_METADATA_VALUE_CHARS: Final = 512
MAX_METADATA_CHARS: Final = MAX_METADATA_PAIRS * (
    MAX_METADATA_KEY_CHARS + MAX_METADATA_VALUE_CHARS + len('"":"",')
)


@dataclass(frozen=True, slots=True)
class ItemPage:
    items: tuple[Item, ...]
    has_more: bool


@dataclass(frozen=True, slots=True)
class OpenAIConversations:
    """Conversations in terms of OpenAI's API, on the same ports as `Chatkeep`.

    All methods raise `StoreUnavailableError` if the store cannot answer.
    """

    conversations: Conversations
    log: Log
    clock: Clock
    limits: Limits = field(default_factory=Limits)
    provision_users: bool = True

    @classmethod
    def from_chatkeep(cls, chatkeep: Chatkeep) -> Self:
        """Return the use cases on the ports and limits of the native API."""
        return cls(
            conversations=chatkeep.conversations,
            log=chatkeep.log,
            clock=chatkeep.clock,
            limits=chatkeep.limits,
            provision_users=chatkeep.provision_users,
        )

    @property
    def items(self) -> ItemLog:
        return ItemLog(self.log)

    async def create(
        self,
        user_id: UserId,
        texts: Sequence[ItemText],
        *,
        metadata: JsonText,
        key: str | None = None,
    ) -> Conversation:
        """Create a conversation with its first items, all or nothing.

        With a `key` the call can be repeated: it then returns what is stored. Raises
        `KeyTakenError`, `ItemIdTakenError`, `UserNotProvisionedError`, and `InvalidValueError` or
        `LimitExceededError` naming the field.
        """
        at = self.clock.now()
        parsed, request = await self._prepare(texts, metadata, key)
        new_id = keyed_conversation_id(user_id, request.key) if request else uuid7(at)
        new = Conversation(
            id=ConversationId(new_id),
            user_id=user_id,
            title=None,
            status=Status.ACTIVE,
            metadata=metadata,
            message_count=0,
            created_at=at,
            updated_at=at,
        )
        entries = [each.new(at) for each in parsed]
        return await self.items.create(new, entries, key=request, provision=self.provision_users)

    async def append(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        texts: Sequence[ItemText],
        *,
        key: str | None = None,
        is_retry: bool = False,
    ) -> Sequence[Item]:
        """Append items, all or none, and return them as they are stored.

        With a `key` the call can be repeated, and so can a retry if the caller chose the id of one
        of the items: the id identifies the append. Otherwise every call stores its items, since
        nothing distinguishes a retry from a new, equal append.
        Raises `ConversationNotFoundError`, `ItemIdTakenError`, `KeyTakenError`, and
        `InvalidValueError` or `LimitExceededError` naming the field.
        """
        parsed, request = await self._prepare(texts, JsonText(""), key)
        if not parsed:
            await self.conversations.get(user_id, conversation_id)
            return ()
        at = self.clock.now()
        entries = [each.new(at) for each in parsed]
        try:
            return await self.items.append(user_id, conversation_id, entries, at, key=request)
        except ItemIdTakenError:
            stored = await self._first_attempt(user_id, conversation_id, parsed) if is_retry else ()
            if not stored:
                raise
            return stored

    async def _first_attempt(
        self, user_id: UserId, conversation_id: ConversationId, parsed: Sequence[ParsedItem]
    ) -> Sequence[Item]:
        """Return the items of the first attempt of this append; an empty list if there is none."""
        index, known = next((n, each.id) for n, each in enumerate(parsed) if each.id is not None)
        page = partial(self.items.list, user_id, conversation_id, after=known)
        try:
            item = await self.get(user_id, conversation_id, known)
            before = await page(order=Order.DESC, limit=index + 1)
            after = await page(order=Order.ASC, limit=len(parsed) - index)
        except ItemNotFoundError:
            return ()
        # The entries of one append have consecutive positions and the same time.
        offset = item.position - index
        found = {
            each.position - offset: each
            for each in (*before.items, item, *after.items)
            if each.created_at == item.created_at
        }
        is_whole = -1 not in found and len(parsed) not in found
        stored = [found[n] for n in range(len(parsed)) if n in found]
        if (
            is_whole
            and len(stored) == len(parsed)
            and all(map(ParsedItem.is_stored_as, parsed, stored))
        ):
            return stored
        return ()

    async def list(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        *,
        order: Order = Order.DESC,
        after: ItemId | None = None,
        limit: int = 20,
    ) -> ItemPage:
        """Return a page. `limit` is clamped to 1 to `MAX_PAGE`.

        Raises `ConversationNotFoundError`, `ItemNotFoundError`.
        """
        limit = clamp_limit(limit)
        found = await self.items.list(
            user_id,
            conversation_id,
            order=order,
            after=after,
            limit=limit,
            max_bytes=self.limits.max_bytes,
        )
        return ItemPage(tuple(found.items), has_more=found.more)

    async def get(self, user_id: UserId, conversation_id: ConversationId, item_id: ItemId) -> Item:
        """Return the item. Raises `ItemNotFoundError`."""
        return await self.items.get(user_id, conversation_id, item_id)

    async def delete(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        item_id: ItemId,
        *,
        is_retry: bool = False,
    ) -> Conversation:
        """Delete the item, and return its conversation.

        A retry succeeds even if the item does not exist: the first attempt may have deleted it.
        Raises `ConversationNotFoundError`, `ItemNotFoundError`, `RetainedError`.
        """
        try:
            await self.items.delete(user_id, conversation_id, item_id)
        except ItemNotFoundError:
            if not is_retry:
                raise
        return await self.conversations.get(user_id, conversation_id)

    async def delete_conversation(
        self, user_id: UserId, conversation_id: ConversationId, *, is_retry: bool = False
    ) -> None:
        """Delete the conversation with all its items.

        A retry succeeds even if it does not exist: the first attempt may have deleted it.
        Raises `ConversationNotFoundError`, `RetainedError`.
        """
        try:
            await self.conversations.delete(user_id, conversation_id)
        except ConversationNotFoundError:
            if not is_retry:
                raise

    async def change(
        self, user_id: UserId, conversation_id: ConversationId, metadata: JsonText
    ) -> Conversation:
        """Replace the metadata. Raises `ConversationNotFoundError`."""
        return await self.conversations.change(user_id, conversation_id, Changes(metadata=metadata))

    async def get_conversation(
        self, user_id: UserId, conversation_id: ConversationId
    ) -> Conversation:
        """Return the conversation. Raises `ConversationNotFoundError`."""
        return await self.conversations.get(user_id, conversation_id)

    async def list_conversations(
        self, user_id: UserId, *, after: ConversationId | None = None, limit: int = 20
    ) -> Page[Conversation]:
        """Return a page, latest activity first. `limit` is clamped to 1 to the maximum.

        Raises `ConversationNotFoundError` for `after`.
        """
        start = None
        if after is not None:
            last = await self.conversations.get(user_id, after)
            start = LastSeen(last.updated_at, last.id)
        return await self.conversations.list(
            user_id,
            status=None,
            after=start,
            limit=min(clamp_limit(limit), self.limits.max_page or MAX_PAGE),
            max_bytes=self.limits.max_bytes,
        )

    async def _prepare(
        self, texts: Sequence[ItemText], metadata: JsonText, key: str | None
    ) -> tuple[Sequence[ParsedItem], RequestKey | None]:
        def prepare() -> tuple[Sequence[ParsedItem], RequestKey | None]:
            parsed = _parse_items(texts, self.limits)
            return parsed, _request_key(key, parsed, metadata)

        return await run_aside(sum(map(len, texts)), prepare)


def clamp_limit(limit: int) -> int:
    return min(max(limit, 1), MAX_PAGE)


def check_openai_metadata(metadata: Mapping[str, str]) -> None:
    """Raise `InvalidValueError` if the metadata exceed OpenAI's limits."""
    if len(metadata) > MAX_METADATA_PAIRS:
        raise InvalidValueError(
            "metadata", f"has {len(metadata)} pairs; at most {MAX_METADATA_PAIRS}"
        )
    for key, value in metadata.items():
        if len(key) > MAX_METADATA_KEY_CHARS:
            raise InvalidValueError(
                "metadata", f"has a key of {len(key)} characters; at most {MAX_METADATA_KEY_CHARS}"
            )
        if len(value) > MAX_METADATA_VALUE_CHARS:
            raise InvalidValueError(
                f"metadata.{key}",
                f"has {len(value)} characters; at most {MAX_METADATA_VALUE_CHARS}",
            )


def _request_key(
    key: str | None, parsed: Sequence[ParsedItem], metadata: JsonText
) -> RequestKey | None:
    if key is None:
        return None
    check_key(key)
    digest = sha256(metadata.encode())
    for each in parsed:
        digest.update(b"\0" + each.canonical().encode())
    return RequestKey(key, digest.hexdigest())


def _parse_items(texts: Sequence[ItemText], limits: Limits) -> list[ParsedItem]:
    limits.check("max_items", len(texts), field="items", unit="items")
    for index, text in enumerate(texts):
        # A character has at most four bytes: only the bytes of long texts are counted.
        if len(text) * 4 > limits.max_item_bytes:
            size = len(text.encode())
            limits.check("max_item_bytes", size, field=f"items[{index}]", unit="bytes")
    return [parse_item(text, field=f"items[{index}]") for index, text in enumerate(texts)]
