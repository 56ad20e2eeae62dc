"""Everything that changes a conversation, to try each in the same way."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from chatkeep.domain.editing import MessagePatch
from chatkeep.domain.log import NewEntry, entries_of
from chatkeep.domain.model import (
    Changes,
    Conversation,
    JsonText,
    Message,
    Position,
)
from chatkeep.domain.operations.selftest.builders import (
    ALICE,
    KEY,
    NOON,
    REASONING_ITEM,
    new_item,
    new_message,
)
from chatkeep.domain.operations.selftest.store import StoreUnderTest
from chatkeep.testing.builders import (
    numbered_messages,
)


@dataclass(frozen=True)
class Target:
    """A conversation to change: it has these messages, and an item that is none."""

    store: StoreUnderTest
    conversation: Conversation
    messages: Sequence[Message]
    item_at: Position

    @classmethod
    async def start(cls, store: StoreUnderTest) -> "Target":
        conversation = await store.start(*numbered_messages(3))
        [item] = await store.append_items(conversation, new_item(REASONING_ITEM))
        return cls(
            store,
            await store.reload(conversation),
            await store.history(conversation),
            item.position,
        )

    @property
    def revision(self) -> int:
        return self.conversation.revision

    async def append(self, entries: Sequence[NewEntry], expected: int | None) -> int:
        appended = await self.store.log.append(
            ALICE, self.conversation.id, entries, NOON, expected=expected
        )
        return appended.revision


async def append_one(target: Target, expected: int | None) -> int:
    return await target.append(entries_of([new_message("hello")]), expected)


async def append_several(target: Target, expected: int | None) -> int:
    return await target.append(entries_of(numbered_messages(3)), expected)


async def append_item(target: Target, expected: int | None) -> int:
    return await target.append([new_item(REASONING_ITEM)], expected)


async def append_item_with_id(target: Target, expected: int | None) -> int:
    own = new_item('{"type":"reasoning","id":"rs_own","summary":[]}')
    return await target.append([own], expected)


async def append_both(target: Target, expected: int | None) -> int:
    named = new_message("hello", name="Ann")
    return await target.append([NewEntry(named), new_item(REASONING_ITEM)], expected)


async def append_with_window(target: Target, expected: int | None) -> int:
    appended = await target.store.log.append(
        ALICE,
        target.conversation.id,
        entries_of([new_message("hello")]),
        NOON,
        expected=expected,
        window=5,
    )
    assert appended.window is not None
    assert appended.window.revision == appended.revision
    return appended.revision


async def append_with_key(target: Target, expected: int | None) -> int:
    appended = await target.store.log.append(
        ALICE,
        target.conversation.id,
        entries_of([new_message("hello")]),
        NOON,
        key=KEY,
        expected=expected,
    )
    return appended.revision


async def rename(target: Target, expected: int | None) -> int:
    changed = await target.store.conversations.change(
        ALICE, target.conversation.id, Changes(title="New"), expected=expected
    )
    return changed.revision


async def change_nothing(target: Target, expected: int | None) -> int:
    changed = await target.store.conversations.change(
        ALICE, target.conversation.id, Changes(), expected=expected
    )
    return changed.revision


async def remove_message(target: Target, expected: int | None) -> int:
    return await target.store.log.delete(
        ALICE, target.conversation.id, target.messages[1].id, expected=expected
    )


async def remove_message_at(target: Target, expected: int | None) -> int | None:
    return await target.store.log.delete_at(
        ALICE, target.conversation.id, target.messages[1].position, expected=expected
    )


async def remove_item_at(target: Target, expected: int | None) -> int | None:
    return await target.store.log.delete_at(
        ALICE, target.conversation.id, target.item_at, expected=expected
    )


async def put_new(target: Target, expected: int | None) -> int:
    stored = await target.store.log.put(
        ALICE, target.conversation.id, new_message("hello"), NOON, expected=expected
    )
    return stored.revision


async def put_in_place(target: Target, expected: int | None) -> int:
    edited = new_message("edited", id=target.messages[1].id)
    stored = await target.store.log.put(
        ALICE, target.conversation.id, edited, NOON, expected=expected
    )
    return stored.revision


async def patch_message(target: Target, expected: int | None) -> int:
    patch = MessagePatch(metadata=JsonText('{"feedback":"up"}'))
    stored = await target.store.log.patch(
        ALICE, target.conversation.id, target.messages[1].id, patch, expected=expected
    )
    return stored.revision


async def truncate(target: Target, expected: int | None) -> int:
    truncated = await target.store.log.truncate(
        ALICE, target.conversation.id, target.messages[0].id, keep=True, expected=expected
    )
    return truncated.revision


async def truncate_items(target: Target, expected: int | None) -> int:
    truncated = await target.store.log.truncate(
        ALICE, target.conversation.id, target.messages[-1].id, keep=True, expected=expected
    )
    return truncated.revision


async def replace(target: Target, expected: int | None) -> int:
    [first, *others] = [message.id for message in target.messages]
    replaced = await target.store.log.replace(
        ALICE,
        target.conversation.id,
        first,
        others,
        numbered_messages(2),
        NOON,
        expected=expected,
    )
    return replaced.revision


Change = Callable[[Target, int | None], Awaitable[int | None]]
APPENDS: tuple[Change, ...] = (
    append_one,
    append_several,
    append_item,
    append_item_with_id,
    append_both,
    append_with_window,
    append_with_key,
)
REMOVALS: tuple[Change, ...] = (remove_message, remove_message_at, remove_item_at)
REWRITES: tuple[Change, ...] = (put_in_place, patch_message, truncate_items, truncate, replace)
CHANGES: tuple[Change, ...] = (*APPENDS, rename, change_nothing, put_new, *REMOVALS, *REWRITES)
