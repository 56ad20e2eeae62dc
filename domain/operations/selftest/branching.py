"""The scenario of branches: what was said before an edit or another answer stays."""

from chatkeep.domain.branches import MAIN
from chatkeep.domain.log import Bounds, View, entries_of, messages_in
from chatkeep.domain.model import BranchNumber, Conversation, Order
from chatkeep.domain.operations.selftest.builders import new_conversation, new_message
from chatkeep.domain.operations.selftest.checks import expect
from chatkeep.domain.operations.selftest.store import MANY, StoreUnderTest
from chatkeep.domain.places import After, AtTip, Place


async def branches(store: StoreUnderTest) -> str:
    """Start a branch after a message that is not the last, switch, delete and fork branches."""
    chat = await store.start(new_message("question"), new_message("answer"))
    [question, answer] = await store.history(chat)
    number = await _append(store, chat, "other answer", After(question.id))
    expect(number is not None and number != MAIN, "an append after a message started no branch")
    other = number or MAIN
    await _append(store, chat, "thanks", None)
    await _expect_texts(store, chat, None, "question", "other answer", "thanks")
    await _expect_texts(store, chat, MAIN, "question", "answer")
    window = await store.log.window(store.user, chat.id, limit=2)
    expect(
        [each.content for each in window.tail] == ["other answer", "thanks"],
        "the window of the current branch has messages of another one",
    )
    expect(
        await _append(store, chat, "and?", After(answer.id)) == MAIN,
        "an append after the last message of a branch did not continue it",
    )
    await _expect_texts(store, chat, None, "question", "answer", "and?")
    forked = await store.log.fork(
        store.user, chat.id, new_conversation(store.user, at=store.at), branch=other
    )
    await _expect_texts(store, forked.conversation, None, "question", "other answer", "thanks")
    await store.log.delete_branch(store.user, chat.id, other)
    await _expect_texts(store, chat, None, "question", "answer", "and?")
    everything = (await store.reload(chat)).message_count
    expect(everything == len(await store.history(chat)), "deleting a branch left its messages")
    await _append(store, chat, "bye", AtTip(MAIN))
    return "branches kept what was said before, and were read, switched, deleted and forked"


async def _append(
    store: StoreUnderTest, chat: Conversation, text: str, place: Place | None
) -> BranchNumber | None:
    appended = await store.log.append(
        store.user, chat.id, entries_of([new_message(text)]), store.at, place=place
    )
    return appended.branch


async def _expect_texts(
    store: StoreUnderTest, chat: Conversation, branch: BranchNumber | None, *texts: str
) -> None:
    page = await store.log.page(
        store.user,
        chat.id,
        Bounds(),
        view=View.MESSAGES,
        order=Order.ASC,
        limit=MANY,
        branch=branch,
    )
    found = [message.content for message in messages_in(page.items)]
    expect(found == [*texts], f"a branch has {found}, and not {[*texts]}")
