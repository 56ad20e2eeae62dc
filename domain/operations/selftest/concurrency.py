"""Scenarios of several callers who change the same conversation."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from chatkeep.domain.editing import MessagePatch
from chatkeep.domain.errors import RevisionConflictError
from chatkeep.domain.log import NewEntry, entries_of
from chatkeep.domain.model import Changes, Conversation, ConversationId, MessageId, UserId
from chatkeep.domain.operations.selftest.builders import KEY, new_message
from chatkeep.domain.operations.selftest.checks import expect, expect_count, expect_error
from chatkeep.domain.operations.selftest.store import StoreUnderTest


async def revision(store: StoreUnderTest) -> str:
    """Raise the revision with each change, and change nothing of another one than expected."""
    conversation = await store.start(new_message("1"), new_message("2"))
    user, its_id = conversation.user_id, conversation.id
    [first, second] = await store.history(conversation)
    attempts = _Attempts(store, conversation, first.id, second.id)
    changes: Mapping[str, Callable[[int], Awaitable[object]]] = {
        "an append": attempts.append,
        "an append with a key": attempts.append_with_key,
        "a change": attempts.rename,
        "the deletion of a message": attempts.delete_message,
        "an edit": attempts.edit,
        "a patch": attempts.patch,
        "a replacement": attempts.replace,
        "a truncation": attempts.truncate,
    }
    current = conversation.revision
    for name, change in changes.items():
        before = await store.history(conversation)
        for expected in (current - 1, current + 1):
            what = f"{name} that expects another revision"
            await expect_error(RevisionConflictError, change(expected), what)
        kept = await store.reload(conversation)
        expect(
            kept.revision == current and await store.history(conversation) == before,
            f"{name} that was refused changed something",
        )
        await change(current)
        current += 1
        kept = await store.reload(conversation)
        expect(kept.revision == current, f"{name} did not raise the revision by one")
    await attempts.append(conversation.revision)
    await attempts.append_with_key(conversation.revision)
    expect_count(len(await store.history(conversation)), 3, "appends were sent again")
    await expect_error(
        RevisionConflictError,
        store.conversations.delete(user, its_id, expected=current - 1),
        "the deletion of a conversation that expects another revision",
    )
    await store.conversations.delete(user, its_id, expected=current)
    return f"{len(changes)} changes raised the revision; if they expected another, nothing changed"


@dataclass(frozen=True)
class _Attempts:
    """Changes of a conversation with two messages, each of which may expect a revision."""

    store: StoreUnderTest
    conversation: Conversation
    first: MessageId
    second: MessageId
    batch: Sequence[NewEntry] = field(default_factory=lambda: entries_of([new_message("3")]))

    @property
    def place(self) -> tuple[UserId, ConversationId]:
        return self.conversation.user_id, self.conversation.id

    async def last(self) -> MessageId:
        return (await self.store.history(self.conversation))[-1].id

    async def append(self, expected: int) -> object:
        return await self.store.log.append(
            *self.place, self.batch, self.store.at, expected=expected
        )

    async def append_with_key(self, expected: int) -> object:
        new = entries_of([new_message("4")])
        return await self.store.log.append(
            *self.place, new, self.store.at, key=KEY, expected=expected
        )

    async def rename(self, expected: int) -> object:
        title = Changes(title="A title")
        return await self.store.conversations.change(*self.place, title, expected=expected)

    async def delete_message(self, expected: int) -> object:
        return await self.store.log.delete(*self.place, self.first, expected=expected)

    async def edit(self, expected: int) -> object:
        new = new_message("edited", id=self.second)
        return await self.store.log.put(*self.place, new, self.store.at, expected=expected)

    async def patch(self, expected: int) -> object:
        noted = MessagePatch(tokens=5)
        return await self.store.log.patch(*self.place, self.second, noted, expected=expected)

    async def replace(self, expected: int) -> object:
        new = [new_message("5")]
        return await self.store.log.replace(
            *self.place, await self.last(), [], new, self.store.at, expected=expected
        )

    async def truncate(self, expected: int) -> object:
        return await self.store.log.truncate(
            *self.place, await self.last(), keep=False, expected=expected
        )
