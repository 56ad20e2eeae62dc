"""Scenarios of several callers who change the same conversation."""

from collections.abc import Awaitable, Callable, Mapping

from chatkeep.domain.errors import RevisionConflictError
from chatkeep.domain.log import entries_of
from chatkeep.domain.model import Changes
from chatkeep.domain.operations.selftest.builders import KEY, new_message
from chatkeep.domain.operations.selftest.checks import expect, expect_count, expect_error
from chatkeep.domain.operations.selftest.store import StoreUnderTest


async def revision(store: StoreUnderTest) -> str:
    """Raise the revision with each change, and change nothing of another one than expected."""
    conversation = await store.start(new_message("1"), new_message("2"))
    user, its_id = conversation.user_id, conversation.id
    [first, *_] = await store.history(conversation)
    batch = entries_of([new_message("3")])

    async def append(expected: int) -> object:
        return await store.log.append(user, its_id, batch, store.at, expected=expected)

    async def append_with_key(expected: int) -> object:
        new = entries_of([new_message("4")])
        return await store.log.append(user, its_id, new, store.at, key=KEY, expected=expected)

    async def rename(expected: int) -> object:
        return await store.conversations.change(
            user, its_id, Changes(title="A title"), expected=expected
        )

    async def delete_message(expected: int) -> object:
        return await store.log.delete(user, its_id, first.id, expected=expected)

    changes: Mapping[str, Callable[[int], Awaitable[object]]] = {
        "an append": append,
        "an append with a key": append_with_key,
        "a change": rename,
        "the deletion of a message": delete_message,
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
    await append(conversation.revision)
    await append_with_key(conversation.revision)
    expect_count(len(await store.history(conversation)), 3, "appends were sent again")
    await expect_error(
        RevisionConflictError,
        store.conversations.delete(user, its_id, expected=current - 1),
        "the deletion of a conversation that expects another revision",
    )
    await store.conversations.delete(user, its_id, expected=current)
    return "4 changes raised the revision; those that expected another one changed nothing"
