"""The promises hold on the store in memory, and a store that breaks one is found out by it."""

# ruff: noqa: ANN401 - what breaks a promise passes on whatever it is called with

import json
from contextlib import suppress
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from chatkeep.adapters.memory import MemoryConversations, MemoryLog, MemoryStore, MemoryUsers
from chatkeep.adapters.memory.store import KeptConversation
from chatkeep.adapters.memory.stores import memory_stores
from chatkeep.domain.branches import EVERY
from chatkeep.domain.editing import MessagePatch, Replaced, Stored, Truncated
from chatkeep.domain.errors import (
    ChatkeepError,
    NotFoundError,
    RetainedError,
    RevisionConflictError,
)
from chatkeep.domain.finding import Filter, Found, MatchCount
from chatkeep.domain.items import ItemText
from chatkeep.domain.log import Appended, Bounds, Created, Entry, LogPage, View, messages_in
from chatkeep.domain.model import (
    Conversation,
    ConversationId,
    JsonText,
    MessageId,
    Order,
    OriginalText,
    Position,
    Usage,
    UserId,
    microseconds,
)
from chatkeep.domain.operations.selftest.checks import BrokenPromiseError
from chatkeep.domain.operations.selftest.promises import PROMISES
from chatkeep.domain.operations.selftest.store import StoreUnderTest
from chatkeep.domain.revisions import check_revision
from chatkeep.domain.window import Window


@pytest.fixture
def dicts() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
async def store(dicts: MemoryStore) -> StoreUnderTest:
    store = StoreUnderTest.of(memory_stores(dicts))
    for user in (store.user, store.stranger):
        await store.users.add(user)
    return store


@pytest.mark.parametrize("promise", PROMISES)
async def test_the_store_in_memory_keeps_every_promise(promise: str, store: StoreUnderTest) -> None:
    assert await PROMISES[promise](store)


class SwallowsMessages(MemoryLog):
    async def append(self, *args: Any, **kwargs: Any) -> Appended:
        conversation_id, given, at = args[1], args[2], args[3]
        found = await super().append(args[0], conversation_id, [], at, **kwargs)
        stored = [
            new.to_entry(conversation_id, Position(microseconds(at) + n), at)
            for n, new in enumerate(given)
        ]
        return replace(found, entries=tuple(stored))


class OrdersByText(MemoryLog):
    async def page(self, *args: Any, **kwargs: Any) -> LogPage:
        found = await super().page(*args, **kwargs)
        by_text = sorted(found.items, key=lambda each: (_text(each), each.position))
        return replace(found, items=by_text[::-1])


class StoresTwice(MemoryLog):
    async def append(self, *args: Any, **kwargs: Any) -> Appended:
        user_id, conversation_id, given, at = args
        anew = [
            new._replace(message=new.message and new.message._replace(id=MessageId(uuid4())))
            for new in given
        ]
        found = await super().append(user_id, conversation_id, anew, at, **kwargs)
        return replace(
            found,
            entries=tuple(
                entry._replace(message=entry.message and entry.message._replace(id=new.message.id))
                for entry, new in zip(found.entries, given, strict=True)
            ),
        )


class IgnoresPlaces(MemoryLog):
    async def append(self, *args: Any, **kwargs: Any) -> Appended:
        return await super().append(*args, **kwargs | {"place": None})


class ReadsEveryBranch(MemoryLog):
    async def page(self, *args: Any, **kwargs: Any) -> LogPage:
        return await super().page(*args, **kwargs | {"branch": EVERY})


class DeletesOnlyTheBranch(MemoryLog):
    """Forgets a branch, and leaves its messages."""

    async def delete_branch(self, *args: Any, **kwargs: Any) -> int:
        user_id, conversation_id, number = args
        kept = self.store.conversation(user_id, conversation_id)
        kept.set_branches(kept.tree.remove(number)[0])
        return kept.conversation.revision


class CountsWrong(MemoryConversations):
    async def get(self, user_id: UserId, conversation_id: ConversationId) -> Conversation:
        found = await super().get(user_id, conversation_id)
        return found._replace(message_count=found.message_count + 1)


class LeavesEntries(MemoryLog):
    """Has what was in a deleted conversation in the next one of its id."""

    async def create(self, *args: Any, **kwargs: Any) -> Created:
        created = await super().create(*args, **kwargs)
        conversation = created.conversation
        kept = self.store.conversation(conversation.user_id, conversation.id)
        deleted = _made.get(conversation.id)
        kept.entries += deleted.entries if deleted is not None else []
        _made[conversation.id] = kept
        return created


class LeavesUsers(MemoryUsers):
    async def erase(self, user_id: UserId, *, even_retained: bool = False) -> Usage | None:
        return await self.usage(user_id)


class DeletesAnything(MemoryLog):
    async def delete(self, *args: Any, **kwargs: Any) -> int:
        with suppress(RetainedError):
            return await super().delete(*args, **kwargs)
        return 0


class EditsAtTheEnd(MemoryLog):
    async def put(self, *args: Any, **kwargs: Any) -> Stored:
        user_id, conversation_id, message, _ = args
        with suppress(NotFoundError):
            await self.delete(user_id, conversation_id, message.id)
        return await super().put(*args, **kwargs)


class EditsAgain(MemoryLog):
    async def put(self, *args: Any, **kwargs: Any) -> Stored:
        stored = await super().put(*args, **kwargs)
        message = stored.message
        if not stored.created:
            kept = self.store.conversation(args[0], args[1])
            message = message._replace(edited_at=args[3])
            entry = Entry(message.position, message.created_at, message)
            self.store.user(args[0]).rewrite(kept, entry)
        return replace(stored, message=message)


class ReplacesMetadata(MemoryLog):
    async def patch(self, *args: Any, **kwargs: Any) -> Stored:
        user_id, conversation_id, message_id, _ = args
        nothing = MessagePatch(metadata=JsonText("null"))
        await super().patch(user_id, conversation_id, message_id, nothing)
        return await super().patch(*args, **kwargs)


class TruncatesAnything(MemoryLog):
    async def truncate(self, *args: Any, **kwargs: Any) -> Truncated:
        user_id, conversation_id, _ = args
        kept = self.store.conversation(user_id, conversation_id)
        held, kept.conversation = kept.conversation, kept.conversation._replace(retain=False)
        found = await super().truncate(*args, **kwargs)
        kept.conversation = kept.conversation._replace(retain=held.retain)
        return found


class TruncatesMessagesOnly(MemoryLog):
    async def truncate(self, *args: Any, **kwargs: Any) -> Truncated:
        user_id, conversation_id, _ = args
        kept = self.store.conversation(user_id, conversation_id)
        items = [entry for entry in kept.entries if entry.message is None]
        found = await super().truncate(*args, **kwargs)
        kept.entries += items
        return found


class UsesPositionsAgain(MemoryLog):
    async def truncate(self, *args: Any, **kwargs: Any) -> Truncated:
        found = await super().truncate(*args, **kwargs)
        kept = self.store.conversation(*args[:2])
        kept.last_position = kept.entries[-1].position if kept.entries else 0
        return found


class ReplacesAnything(MemoryLog):
    async def replace(self, *args: Any, **kwargs: Any) -> Replaced:
        user_id, conversation_id, after, _, *rest = args
        page = await self.page(
            user_id,
            conversation_id,
            Bounds(after_message=after),
            view=View.MESSAGES,
            order=Order.ASC,
            limit=1_000,
        )
        expected = [message.id for message in messages_in(page.items)]
        return await super().replace(user_id, conversation_id, after, expected, *rest)


class TellsStrangers(MemoryConversations):
    async def get(self, user_id: UserId, conversation_id: ConversationId) -> Conversation:
        for kept in self.store.users.values():
            if conversation_id in kept.conversations:
                return kept.conversations[conversation_id].conversation
        return await super().get(user_id, conversation_id)


class TakesAnything(MemoryLog):
    async def append(self, *args: Any, **kwargs: Any) -> Appended:
        try:
            return await super().append(*args, **kwargs)
        except ChatkeepError:
            return Appended((), 0, None, 0)


class KeepsHalf(MemoryLog):
    async def append(self, *args: Any, **kwargs: Any) -> Appended:
        user_id, conversation_id, given, at = args
        for new in given:
            found = await super().append(user_id, conversation_id, [new], at, **kwargs)
        return found


class DropsNul(MemoryLog):
    async def create(self, conversation: Conversation, *args: Any, **kwargs: Any) -> Created:
        title = conversation.title and conversation.title.replace("\0", "")
        return await super().create(conversation._replace(title=title), *args, **kwargs)


class RewritesItems(MemoryLog):
    async def page(self, *args: Any, **kwargs: Any) -> LogPage:
        found = await super().page(*args, **kwargs)
        rewritten = [
            entry._replace(item=entry.item and ItemText(entry.item.replace("1.10", "1.1")))
            for entry in found.items
        ]
        return replace(found, items=rewritten)


class OrdersKeysOfParts(MemoryLog):
    async def page(self, *args: Any, **kwargs: Any) -> Any:
        found = await super().page(*args, **kwargs)
        return replace(found, items=[_order_keys(entry) for entry in found.items])


class RewritesOriginals(MemoryLog):
    async def page(self, *args: Any, **kwargs: Any) -> LogPage:
        found = await super().page(*args, **kwargs)
        return replace(found, items=[_encode_again(entry) for entry in found.items])


class LosesOriginals(MemoryLog):
    async def append(self, *args: Any, **kwargs: Any) -> Appended:
        user_id, conversation_id, given, at = args
        plain = [
            new._replace(message=new.message and new.message._replace(format=None, original=None))
            for new in given
        ]
        return await super().append(user_id, conversation_id, plain, at, **kwargs)


class AlwaysReadsOriginals(MemoryLog):
    async def page(self, *args: Any, **kwargs: Any) -> LogPage:
        view = kwargs.pop("view")
        wanted = View.ORIGINALS if view is View.MESSAGES else view
        return await super().page(*args, view=wanted, **kwargs)


class ForgetsOriginalsOfWindows(MemoryLog):
    async def window(self, *args: Any, **kwargs: Any) -> Window:
        found = await super().window(*args, **kwargs)
        return replace(found, tail=tuple(each.without_original() for each in found.tail))


class ForgetsWhereContextsStart(MemoryLog):
    async def window(self, *args: Any, **kwargs: Any) -> Window:
        found = await super().window(*args, **kwargs)
        return replace(found, start=())


class ForgetsTextIds(MemoryLog):
    async def page(self, *args: Any, **kwargs: Any) -> LogPage:
        found = await super().page(*args, **kwargs)
        return replace(found, items=[_forget_text_id(entry) for entry in found.items])


class FindsEverything(MemoryConversations):
    async def find(self, user_id: UserId, wanted: Filter, **kwargs: Any) -> Found:
        return await super().find(user_id, replace(wanted, metadata={}), **kwargs)


class ForgetsTimes(MemoryConversations):
    async def find(self, user_id: UserId, wanted: Filter, **kwargs: Any) -> Found:
        return await super().find(user_id, replace(wanted, updated_after=None), **kwargs)


class CountsEverything(MemoryConversations):
    async def count(self, user_id: UserId, wanted: Filter, *, max_read: int) -> MatchCount:
        return await super().count(user_id, Filter(), max_read=max_read)


class CountsStrangers(MemoryConversations):
    async def count(self, user_id: UserId, wanted: Filter, *, max_read: int) -> MatchCount:
        value = 0
        for each in self.store.users:
            value += (await super().count(each, wanted, max_read=max_read)).value
        return MatchCount(value, exact=True)


class FindsStrangers(MemoryConversations):
    async def find(self, user_id: UserId, wanted: Filter, **kwargs: Any) -> Found:
        items: list[Conversation] = []
        for each in self.store.users:
            found = await super().find(each, wanted, **kwargs)
            items += found.items
        return Found(items, None)


def _order_keys(entry: Entry) -> Entry:
    message = entry.message
    if message is None or message.parts is None:
        return entry
    parts = JsonText(json.dumps(json.loads(message.parts), sort_keys=True, separators=(",", ":")))
    return entry._replace(message=message._replace(parts=parts))


def _encode_again(entry: Entry) -> Entry:
    message = entry.message
    if message is None or message.original is None:
        return entry
    text = OriginalText(json.dumps(json.loads(message.original)))
    return entry._replace(message=message._replace(original=text))


class IgnoresRevisions(MemoryLog):
    async def append(self, *args: Any, **kwargs: Any) -> Appended:
        return await super().append(*args, **kwargs | {"expected": None})


class ChangesAnyRevision(MemoryConversations):
    async def change(self, *args: Any, **_: Any) -> Conversation:
        return await super().change(*args)


class DeletesAnyRevision(MemoryConversations):
    async def delete(self, *args: Any, **_: Any) -> None:
        await super().delete(*args)


class ForgetsRevisions(MemoryLog):
    async def delete(self, *args: Any, **kwargs: Any) -> int:
        kept = self.store.conversation(args[0], args[1])
        before = kept.conversation.revision
        await super().delete(*args, **kwargs)
        kept.conversation = kept.conversation._replace(revision=before)
        return before


class ForgetsKeys(MemoryLog):
    async def append(self, *args: Any, **kwargs: Any) -> Appended:
        is_native = all(entry.item is None for entry in args[2])
        return await super().append(*args, **kwargs | ({"key": None} if is_native else {}))


class RefusesRepeats(MemoryLog):
    async def append(self, *args: Any, **kwargs: Any) -> Appended:
        kept = self.store.conversation(args[0], args[1])
        check_revision(kept.conversation, kwargs.get("expected"))
        return await super().append(*args, **kwargs)


def _forget_text_id(entry: Entry) -> Entry:
    message = entry.message
    if message is None:
        return entry
    return entry._replace(message=message._replace(id=MessageId(UUID(message.id.hex))))


def _text(entry: Entry) -> str:
    return (entry.message and entry.message.content) or ""


_made: dict[ConversationId, KeptConversation] = {}


@pytest.mark.parametrize(
    ("promise", "part", "broken"),
    [
        ("create", "log", OrdersByText),
        ("order", "log", SwallowsMessages),
        ("order", "log", OrdersByText),
        ("counts", "conversations", CountsWrong),
        ("retry", "log", StoresTwice),
        ("cascade", "log", LeavesEntries),
        ("erasure", "users", LeavesUsers),
        ("hold", "users", LeavesUsers),
        ("hold", "log", DeletesAnything),
        ("edit", "log", EditsAtTheEnd),
        ("edit", "log", EditsAgain),
        ("edit", "log", ReplacesMetadata),
        ("hold", "log", TruncatesAnything),
        ("branches", "log", IgnoresPlaces),
        ("branches", "log", ReadsEveryBranch),
        ("branches", "log", DeletesOnlyTheBranch),
        ("truncation", "log", TruncatesMessagesOnly),
        ("truncation", "log", UsesPositionsAgain),
        ("truncation", "log", ReplacesAnything),
        ("isolation", "conversations", TellsStrangers),
        ("refusal", "log", TakesAnything),
        ("atomicity", "log", KeepsHalf),
        ("text", "log", DropsNul),
        ("text", "log", OrdersKeysOfParts),
        ("items", "log", RewritesItems),
        ("originals", "log", RewritesOriginals),
        ("originals", "log", ForgetsOriginalsOfWindows),
        ("order", "log", ForgetsWhereContextsStart),
        ("originals", "log", LosesOriginals),
        ("originals", "log", AlwaysReadsOriginals),
        ("text_ids", "log", ForgetsTextIds),
        ("filters", "conversations", FindsEverything),
        ("filters", "conversations", ForgetsTimes),
        ("filters", "conversations", CountsEverything),
        ("isolation", "conversations", FindsStrangers),
        ("isolation", "conversations", CountsStrangers),
        ("retry", "log", ForgetsKeys),
        ("revision", "log", IgnoresRevisions),
        ("revision", "conversations", ChangesAnyRevision),
        ("revision", "conversations", DeletesAnyRevision),
        ("revision", "log", ForgetsRevisions),
    ],
)
async def test_a_store_that_breaks_a_promise_is_found_out(
    promise: str, part: str, broken: type, store: StoreUnderTest, dicts: MemoryStore
) -> None:
    with pytest.raises(BrokenPromiseError):
        await PROMISES[promise](replace(store, **{part: broken(dicts)}))


async def test_a_store_that_refuses_a_repeated_append_for_its_revision_is_found_out(
    store: StoreUnderTest, dicts: MemoryStore
) -> None:
    with pytest.raises(RevisionConflictError):
        await PROMISES["revision"](replace(store, log=RefusesRepeats(dicts)))
