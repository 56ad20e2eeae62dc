"""Where a context starts: the window has that message, however far back it is."""

from collections.abc import Sequence

import pytest

from chatkeep.domain.branches import MAIN
from chatkeep.domain.context import Context, select
from chatkeep.domain.log import entries_of
from chatkeep.domain.model import (
    BranchNumber,
    Conversation,
    Message,
    MessageId,
    NewMessage,
    Order,
    Role,
)
from chatkeep.domain.operations.selftest.builders import ALICE, NOON, new_conversation, new_message
from chatkeep.domain.operations.selftest.store import StoreUnderTest
from chatkeep.domain.window import MAX_HEAD, MOST_COUNTED
from chatkeep.testing.builders import contents, numbered_messages
from chatkeep.testing.contract.branches import Chat


def summary(content: str, role: Role = Role.USER, id: MessageId | None = None) -> NewMessage:  # noqa: A002 - as `new_message`
    return new_message(content, role, id=id)._replace(starts_context=True)


async def context_of(
    store: StoreUnderTest,
    conversation: Conversation,
    limit: int = 2,
    branch: BranchNumber | None = None,
) -> tuple[list[str | None], bool, int]:
    """Return the texts of a context, whether it is truncated, and how many it replaces."""
    window = await store.log.window(
        conversation.user_id, conversation.id, limit=limit, branch=branch
    )
    return shown(select(window))


def shown(context: Context) -> tuple[list[str | None], bool, int]:
    return contents(context.messages), context.truncated, context.replaced


async def summarized(store: StoreUnderTest) -> tuple[Conversation, Sequence[Message]]:
    """Start: be kind, a, b, SUM, c, d, e."""
    conversation = await store.start(new_message("be kind", Role.SYSTEM))
    await store.append(conversation, *map(new_message, "ab"), summary("SUM"))
    await store.append(conversation, *map(new_message, "cde"))
    return conversation, await store.history(conversation)


@pytest.mark.parametrize(
    ("limit", "context"),
    [
        (1, (["be kind", "SUM", "e"], True, 2)),
        (2, (["be kind", "SUM", "d", "e"], True, 2)),
        (3, (["be kind", "SUM", "c", "d", "e"], False, 2)),
        (4, (["be kind", "SUM", "c", "d", "e"], False, 2)),
        (6, (["be kind", "SUM", "c", "d", "e"], False, 2)),
        (20, (["be kind", "SUM", "c", "d", "e"], False, 2)),
    ],
)
async def test_a_context_starts_at_a_summary_however_far_back(
    store: StoreUnderTest, limit: int, context: tuple[list[str], bool, int]
) -> None:
    conversation, _ = await summarized(store)

    assert await context_of(store, conversation, limit) == context


async def test_the_latest_summary_counts(store: StoreUnderTest) -> None:
    conversation, _ = await summarized(store)
    await store.append(conversation, summary("SUM 2"), *map(new_message, "fgh"))

    assert await context_of(store, conversation) == (["be kind", "SUM 2", "g", "h"], True, 6)


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 9])
@pytest.mark.parametrize("sizes", [(1, 1, 1), (3,), (1, 2), (2, 1)])
async def test_an_append_returns_the_same_context(
    store: StoreUnderTest, limit: int, sizes: tuple[int, ...]
) -> None:
    conversation, _ = await summarized(store)
    new = [new_message("f"), summary("SUM 2"), new_message("g")]
    for size in sizes:
        batch, new = new[:size], new[size:]
        appended = await store.log.append(
            ALICE, conversation.id, entries_of(batch), NOON, window=limit
        )

        assert appended.window is not None
        assert shown(select(appended.window)) == await context_of(store, conversation, limit)


async def test_an_edit_sets_and_clears_it(store: StoreUnderTest) -> None:
    conversation, messages = await summarized(store)
    [a, the_summary] = [each for each in messages if each.content in {"a", "SUM"}]

    await store.put(conversation, new_message("SUM", id=the_summary.id))
    assert await context_of(store, conversation) == (["be kind", "d", "e"], True, 0)
    await store.put(conversation, summary("A", id=a.id))
    assert await context_of(store, conversation) == (["be kind", "A", "d", "e"], True, 0)
    await store.put(conversation, summary("end"))
    assert await context_of(store, conversation, 1) == (["be kind", "end"], False, 6)


async def test_if_it_is_deleted_the_one_before_counts(store: StoreUnderTest) -> None:
    conversation, messages = await summarized(store)
    await store.append(conversation, summary("SUM 2"), *map(new_message, "fgh"))
    [latest] = [each for each in await store.history(conversation) if each.content == "SUM 2"]

    await store.log.delete(ALICE, conversation.id, latest.id)
    assert await context_of(store, conversation) == (["be kind", "SUM", "g", "h"], True, 2)
    await store.truncate(conversation, messages[5].id, keep=True)
    assert await context_of(store, conversation, 1) == (["be kind", "SUM", "d"], True, 2)
    await store.truncate(conversation, messages[3].id, keep=False)
    assert await context_of(store, conversation, 1) == (["be kind", "b"], True, 0)


async def test_a_summary_among_the_opening_messages_replaces_nothing(
    store: StoreUnderTest,
) -> None:
    conversation = await store.start(
        new_message("s", Role.SYSTEM), summary("SUM", Role.SYSTEM), *map(new_message, "abc")
    )

    assert await context_of(store, conversation) == (["s", "SUM", "b", "c"], True, 0)
    assert await context_of(store, conversation, 20) == (["s", "SUM", "a", "b", "c"], False, 0)


async def test_it_counts_behind_the_opening_messages_that_a_context_keeps(
    store: StoreUnderTest,
) -> None:
    opening = numbered_messages(MAX_HEAD + 1, Role.SYSTEM)
    conversation = await store.start(
        *opening, summary("SUM", Role.SYSTEM), *map(new_message, "abc")
    )

    texts, truncated, replaced = await context_of(store, conversation)
    assert texts == [*(each.content for each in opening[:MAX_HEAD]), "SUM", "b", "c"]
    assert (truncated, replaced) == (True, 1)


async def test_of_what_it_replaces_only_some_are_counted(store: StoreUnderTest) -> None:
    conversation = await store.start(
        *numbered_messages(MOST_COUNTED + 5), summary("SUM"), *map(new_message, "abc")
    )

    assert await context_of(store, conversation) == (["SUM", "b", "c"], True, MOST_COUNTED)
    assert await context_of(store, conversation, 4) == (
        ["SUM", "a", "b", "c"],
        False,
        MOST_COUNTED,
    )


async def test_each_branch_has_its_own(store: StoreUnderTest) -> None:
    chat = await Chat.start(store, "a", "b", "c")
    await chat.append(summary("SUM"))
    await chat.say("d", "e", "f")
    other = await chat.say_after("c", "x", "y", "z")

    its = chat.conversation
    assert await context_of(store, its, 1) == (["z"], True, 0)
    assert await context_of(store, its, 2, MAIN) == (["SUM", "e", "f"], True, 3)
    assert await context_of(store, its, 3, MAIN) == (["SUM", "d", "e", "f"], False, 3)
    assert await context_of(store, its, 9, MAIN) == (["SUM", "d", "e", "f"], False, 3)
    await chat.say_after("e", "u", "v", "w")
    assert await context_of(store, its) == (["SUM", "v", "w"], True, 3)
    await store.put(its, summary("B", id=chat.ids["b"]))
    assert await context_of(store, its, 2, other) == (["B", "y", "z"], True, 1)


async def test_a_fork_and_a_create_have_it(store: StoreUnderTest) -> None:
    conversation, messages = await summarized(store)

    forked = await store.log.fork(ALICE, conversation.id, new_conversation(ALICE))
    assert await context_of(store, forked.conversation) == (["be kind", "SUM", "d", "e"], True, 2)
    assert len(await store.history(conversation, order=Order.DESC)) == len(messages)


async def test_one_among_the_opening_messages_does_not_hide_another(store: StoreUnderTest) -> None:
    conversation = await store.start(
        summary("s", Role.SYSTEM), new_message("a"), summary("SUM"), *map(new_message, "bcd")
    )

    assert await context_of(store, conversation) == (["s", "SUM", "c", "d"], True, 1)
