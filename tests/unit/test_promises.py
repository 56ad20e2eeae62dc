"""The promises hold on the store in memory, and a store that breaks one is found out by it."""

# ruff: noqa: ANN401 - what breaks a promise passes on whatever it is called with

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from chatkeep.adapters.memory import (
    MemoryConversations,
    MemoryItems,
    MemoryMessages,
    MemoryStore,
    MemoryUsers,
)
from chatkeep.adapters.memory.stores import stores
from chatkeep.domain.errors import ChatkeepError, RetainedError
from chatkeep.domain.items import Item
from chatkeep.domain.model import (
    Conversation,
    ConversationId,
    Message,
    MessageId,
    NewMessage,
    Position,
    Usage,
    UserId,
    microseconds,
)
from chatkeep.domain.operations.selftest.checks import BrokenPromiseError
from chatkeep.domain.operations.selftest.promises import PROMISES
from chatkeep.domain.operations.selftest.store import StoreUnderTest
from chatkeep.domain.pages import Page
from chatkeep.domain.ports import Appended, Created


@pytest.fixture
def dicts() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
async def store(dicts: MemoryStore) -> StoreUnderTest:
    store = StoreUnderTest.of(stores(dicts))
    for user in (store.user, store.stranger):
        await store.users.add(user)
    return store


@pytest.mark.parametrize("promise", PROMISES)
async def test_the_store_in_memory_keeps_every_promise(promise: str, store: StoreUnderTest) -> None:
    assert await PROMISES[promise](store)


class SwallowsMessages(MemoryMessages):
    async def append(self, *args: Any, **kwargs: Any) -> Appended:
        conversation_id, given, at = args[1], args[2], args[3]
        found = await super().append(args[0], conversation_id, [], at, **kwargs)
        stored = [
            new.stored(conversation_id, Position(microseconds(at) + n), at)
            for n, new in enumerate(given)
        ]
        return replace(found, messages=tuple(stored))


class OrdersByClock(MemoryMessages):
    async def history(self, *args: Any, **kwargs: Any) -> Page[Message]:
        found = await super().history(*args, **kwargs)
        by_text = sorted(found.items, key=lambda each: (each.content or "", each.position))
        return replace(found, items=by_text[::-1])


class StoresTwice(MemoryMessages):
    async def append(self, *args: Any, **kwargs: Any) -> Appended:
        user_id, conversation_id, given, at = args
        anew: list[NewMessage] = [replace(new, id=MessageId(uuid4())) for new in given]
        found = await super().append(user_id, conversation_id, anew, at, **kwargs)
        return replace(
            found,
            messages=tuple(
                message._replace(id=new.id)
                for message, new in zip(found.messages, given, strict=True)
                if new.id is not None
            ),
        )


class CountsWrong(MemoryConversations):
    async def get(self, user_id: UserId, conversation_id: ConversationId) -> Conversation:
        found = await super().get(user_id, conversation_id)
        return found._replace(message_count=found.message_count + 1)


class LeavesMessages(MemoryConversations):
    async def delete(self, user_id: UserId, conversation_id: ConversationId) -> None:
        kept = self.store.conversation(user_id, conversation_id)
        await super().delete(user_id, conversation_id)
        _left[conversation_id] = list(kept.messages)

    async def create(self, *args: Any, **kwargs: Any) -> Created:
        created = await super().create(*args, **kwargs)
        conversation = created.conversation
        kept = self.store.conversation(conversation.user_id, conversation.id)
        kept.messages += _left.pop(conversation.id, [])
        return created


class LeavesUsers(MemoryUsers):
    async def erase(self, user_id: UserId, *, even_retained: bool = False) -> Usage | None:
        return await self.usage(user_id)


class DeletesAnything(MemoryMessages):
    async def delete(self, *args: Any) -> None:
        with suppress(RetainedError):
            await super().delete(*args)


class TellsStrangers(MemoryConversations):
    async def get(self, user_id: UserId, conversation_id: ConversationId) -> Conversation:
        for kept in self.store.users.values():
            if conversation_id in kept.conversations:
                return kept.conversations[conversation_id].conversation
        return await super().get(user_id, conversation_id)


class TakesAnything(MemoryMessages):
    async def append(self, *args: Any, **kwargs: Any) -> Appended:
        try:
            return await super().append(*args, **kwargs)
        except ChatkeepError:
            return Appended((), 0, None)


class KeepsHalf(MemoryMessages):
    async def append(self, *args: Any, **kwargs: Any) -> Appended:
        user_id, conversation_id, given, at = args
        for new in given:
            found = await super().append(user_id, conversation_id, [new], at, **kwargs)
        return found


class DropsNul(MemoryConversations):
    async def create(
        self, conversation: Conversation, messages: Sequence[NewMessage], *, provision: bool
    ) -> Created:
        title = conversation.title and conversation.title.replace("\0", "")
        return await super().create(
            conversation._replace(title=title), messages, provision=provision
        )


class RewritesItems(MemoryItems):
    async def list(self, *args: Any, **kwargs: Any) -> Page[Item]:
        found = await super().list(*args, **kwargs)
        rewritten = [
            replace(item, text=type(item.text)(item.text.replace("1.10", "1.1")))
            for item in found.items
        ]
        return replace(found, items=rewritten)


_left: dict[ConversationId, list[Message]] = {}


@pytest.mark.parametrize(
    ("promise", "part", "broken"),
    [
        ("create", "messages", OrdersByClock),
        ("order", "messages", SwallowsMessages),
        ("order", "messages", OrdersByClock),
        ("counts", "conversations", CountsWrong),
        ("retry", "messages", StoresTwice),
        ("cascade", "conversations", LeavesMessages),
        ("erasure", "users", LeavesUsers),
        ("hold", "users", LeavesUsers),
        ("hold", "messages", DeletesAnything),
        ("isolation", "conversations", TellsStrangers),
        ("refusal", "messages", TakesAnything),
        ("atomicity", "messages", KeepsHalf),
        ("text", "conversations", DropsNul),
        ("items", "items", RewritesItems),
    ],
)
async def test_a_store_that_breaks_a_promise_is_found_out(
    promise: str, part: str, broken: type, store: StoreUnderTest, dicts: MemoryStore
) -> None:
    with pytest.raises(BrokenPromiseError):
        await PROMISES[promise](replace(store, **{part: broken(dicts)}))
