"""Branches: where an append continues, and what a reader of each branch sees."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import pytest

from chatkeep.domain.branches import EVERY, MAIN
from chatkeep.domain.errors import (
    BranchIsCurrentError,
    BranchNotFoundError,
    ConversationNotFoundError,
    MessageIdTakenError,
    MessageNotFoundError,
    OtherBranchError,
    RetainedError,
    RevisionConflictError,
    SharedByBranchesError,
    SuffixDiffersError,
)
from chatkeep.domain.log import Appended, Bounds, View, entries_of, messages_in
from chatkeep.domain.model import (
    BranchNumber,
    Changes,
    Conversation,
    Message,
    MessageId,
    NewMessage,
    Order,
    Role,
    Status,
)
from chatkeep.domain.operations.selftest.builders import (
    HOUR,
    KEY,
    NOON,
    new_conversation,
    new_message,
)
from chatkeep.domain.operations.selftest.store import MANY, StoreUnderTest
from chatkeep.domain.places import After, AtTip, Place
from chatkeep.testing.builders import (
    contents,
    error_of,
    new_items,
    new_message_id,
    numbered_items,
    numbered_messages,
)

REASONING = '{"type":"reasoning","id":"rs_1","summary":[]}'
ONE, TWO, THREE = BranchNumber(1), BranchNumber(2), BranchNumber(3)


class Chat:
    """A conversation of a store, whose messages are named by their contents."""

    def __init__(self, store: StoreUnderTest, conversation: Conversation) -> None:
        self.store = store
        self.conversation = conversation
        self.ids: dict[str, MessageId] = {}

    @classmethod
    async def start(cls, store: StoreUnderTest, *contents: str) -> "Chat":
        chat = cls(store, await store.start())
        if contents:
            await chat.say(*contents)
        return chat

    async def say(self, *contents: str, place: Place | None = None) -> BranchNumber | None:
        return (await self.append(*map(new_message, contents), place=place)).branch

    async def say_after(self, message: str | None, *contents: str) -> BranchNumber | None:
        place = After(None if message is None else self.ids[message])
        return await self.say(*contents, place=place)

    async def append(
        self,
        *messages: NewMessage,
        place: Place | None = None,
        window: int | None = None,
        at: datetime = NOON,
    ) -> Appended:
        appended = await self.store.log.append(
            self.conversation.user_id,
            self.conversation.id,
            entries_of(messages),
            at,
            place=place,
            window=window,
        )
        self.ids |= {each.content or "": each.id for each in appended.messages}
        return appended

    async def replace(
        self, after: str, expected: Sequence[str], *messages: str | NewMessage
    ) -> tuple[int, int]:
        """Return how many messages were deleted, and how many there are now."""
        given = [new_message(each) if isinstance(each, str) else each for each in messages]
        replaced = await self.store.log.replace(
            self.conversation.user_id,
            self.conversation.id,
            self.ids[after],
            [self.ids[each] for each in expected],
            given,
            NOON,
        )
        self.ids |= {each.content or "": each.id for each in replaced.messages}
        return replaced.deleted, replaced.message_count

    async def page(
        self,
        branch: BranchNumber | None = None,
        *,
        order: Order = Order.ASC,
        bounds: Bounds | None = None,
        limit: int = MANY,
        view: View = View.MESSAGES,
    ) -> tuple[list[Message], bool]:
        found = await self.store.log.page(
            self.conversation.user_id,
            self.conversation.id,
            bounds or Bounds(),
            view=view,
            order=order,
            limit=limit,
            branch=branch,
        )
        return [*messages_in(found.items)], found.more

    async def read(self, branch: BranchNumber | None = None) -> str:
        messages, _ = await self.page(branch)
        return " ".join(each.content or "" for each in messages)

    async def switch(self, number: BranchNumber) -> None:
        await self.store.log.change_branches(
            self.conversation.user_id, self.conversation.id, lambda tree: tree.switch(number)
        )

    async def delete(self, message: str) -> None:
        await self.store.log.delete(
            self.conversation.user_id, self.conversation.id, self.ids[message]
        )

    async def delete_branch(self, number: BranchNumber) -> None:
        await self.store.log.delete_branch(self.conversation.user_id, self.conversation.id, number)

    async def current(self) -> BranchNumber:
        tree = await self.store.log.tree(self.conversation.user_id, self.conversation.id)
        return tree.current


async def nested(store: StoreUnderTest) -> Chat:
    """Return a conversation with a branch of a branch of a branch.

    main: a b c d; 1 leaves after b: e f g; 2 leaves 1 after e: h i; 3 leaves 2 after h: j k.
    """
    chat = await Chat.start(store, "a", "b", "c", "d")
    await chat.say_after("b", "e", "f", "g")
    await chat.say_after("e", "h", "i")
    await chat.say_after("h", "j", "k")
    return chat


async def test_a_conversation_without_branches_has_only_the_main_one(store: StoreUnderTest) -> None:
    chat = await Chat.start(store, "a", "b")
    log, conversation = store.log, chat.conversation

    tree = await log.tree(conversation.user_id, conversation.id)

    assert (tree.current, list(tree.branches)) == (MAIN, [MAIN])
    assert await chat.read(MAIN) == await chat.read(EVERY) == await chat.read() == "a b"
    for absent in (chat.read(ONE), log.window(store.user, conversation.id, limit=1, branch=ONE)):
        with pytest.raises(BranchNotFoundError):
            await absent


async def test_an_append_after_the_last_message_starts_no_branch(store: StoreUnderTest) -> None:
    chat = await Chat.start(store)

    branches = [
        await chat.say_after(None, "a"),
        await chat.say_after("a", "b"),
        await chat.say("c", place=AtTip(MAIN)),
    ]

    assert branches == [None, None, None]
    assert await chat.read() == "a b c"


async def test_an_append_after_another_message_starts_a_branch(store: StoreUnderTest) -> None:
    chat = await Chat.start(store, "a", "b", "c")

    assert await chat.say_after("a", "d", "e") == ONE

    assert await chat.say("f") == ONE  # it is the current branch from then on
    assert await chat.read() == await chat.read(ONE) == "a d e f"
    assert await chat.read(MAIN) == "a b c"
    assert await chat.read(EVERY) == "a b c d e f"
    assert (await store.reload(chat.conversation)).message_count == 6


async def test_an_append_before_the_first_message_starts_a_branch_that_shares_nothing(
    store: StoreUnderTest,
) -> None:
    chat = await Chat.start(store, "a", "b")

    assert await chat.say_after(None, "c") == ONE

    assert (await chat.read(), await chat.read(MAIN)) == ("c", "a b")


async def test_an_append_after_the_last_message_of_another_branch_continues_that_one(
    store: StoreUnderTest,
) -> None:
    chat = await Chat.start(store, "a", "b", "c")
    await chat.say_after("b", "d")

    assert await chat.say_after("c", "e") == MAIN
    assert await chat.say_after("d", "f") == ONE
    assert await chat.say("g", place=AtTip(MAIN)) == MAIN

    assert (await chat.read(MAIN), await chat.read(ONE)) == ("a b c e g", "a b d f")
    assert await chat.current() == MAIN


async def test_an_append_after_a_tip_that_somebody_else_moved_starts_a_branch(
    store: StoreUnderTest,
) -> None:
    chat = await Chat.start(store, "a")
    await chat.say_after("a", "first tab")

    assert await chat.say_after("a", "second tab") == ONE

    assert (await chat.read(MAIN), await chat.read(ONE)) == ("a first tab", "a second tab")


async def test_appends_after_one_message_at_once_each_get_a_branch(store: StoreUnderTest) -> None:
    chat = await Chat.start(store, "a", "b")

    found = await asyncio.gather(*(chat.say_after("a", f"c{n}") for n in range(6)))

    assert sorted(number or 0 for number in found) == [1, 2, 3, 4, 5, 6]
    for n, number in enumerate(found):
        assert await chat.read(number) == f"a c{n}"


async def test_appends_at_one_tip_at_once_continue_it_only_once(store: StoreUnderTest) -> None:
    chat = await Chat.start(store, "a")

    found = await asyncio.gather(*(chat.say_after("a", f"b{n}") for n in range(6)))

    assert sorted(number or 0 for number in found) == [0, 1, 2, 3, 4, 5]
    assert sorted([await chat.read(number or MAIN) for number in found]) == [
        f"a b{n}" for n in range(6)
    ]


async def test_a_switch_during_appends_loses_none(store: StoreUnderTest) -> None:
    chat = await Chat.start(store, "a", "b")
    await chat.say_after("a", "c")

    await asyncio.gather(
        *(chat.say(f"d{n}") for n in range(8)),
        *(chat.switch(BranchNumber(n % 2)) for n in range(8)),
    )

    said = {f"d{n}" for n in range(8)}
    main, one = [set((await chat.read(number)).split()) for number in (MAIN, ONE)]
    assert main - said == {"a", "b"}
    assert one - said == {"a", "c"}
    assert said == (main | one) & said
    assert not main & one & said


async def test_a_branch_of_a_branch_of_a_branch_is_read_along_its_path(
    store: StoreUnderTest,
) -> None:
    chat = await nested(store)

    found = [await chat.read(BranchNumber(number)) for number in range(4)]

    assert found == ["a b c d", "a b e f g", "a b e h i", "a b e h j k"]


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 6, 7])
@pytest.mark.parametrize("order", Order)
async def test_pages_of_a_path_meet_at_every_border(
    store: StoreUnderTest, order: Order, limit: int
) -> None:
    chat = await nested(store)
    for branch in (MAIN, ONE, TWO, THREE):
        whole, _ = await chat.page(branch, order=order)
        found: list[Message] = []
        more = True
        while more:
            bounds = Bounds()
            if found:
                at = found[-1].position
                bounds = Bounds(after=at) if order is Order.ASC else Bounds(before=at)
            page, more = await chat.page(branch, order=order, bounds=bounds, limit=limit)
            assert len(page) == limit or not more
            found += page
        assert found == whole


@pytest.mark.parametrize("order", Order)
async def test_a_page_of_a_path_lies_between_any_two_messages(
    store: StoreUnderTest, order: Order
) -> None:
    chat = await nested(store)
    path = ["a", "b", "e", "h", "j", "k"]
    for start, after in enumerate(path):
        for stop, before in enumerate(path):
            bounds = Bounds(after_message=chat.ids[after], before_message=chat.ids[before])
            found, more = await chat.page(THREE, order=order, bounds=bounds, limit=10)
            between = path[start + 1 : stop]
            assert contents(found) == (between if order is Order.ASC else between[::-1])
            assert not more


async def test_the_window_is_that_of_the_branch(store: StoreUnderTest) -> None:
    chat = Chat(store, await store.start())
    await chat.append(new_message("s", Role.SYSTEM), new_message("d", Role.DEVELOPER))
    await chat.say(*(f"m{n}" for n in range(40)))
    await chat.say_after("m20", "x", "y")
    log, conversation = store.log, chat.conversation

    of_branch = await log.window(store.user, conversation.id, limit=3)
    of_main = await log.window(store.user, conversation.id, limit=3, branch=MAIN)

    assert contents(of_branch.head) == contents(of_main.head) == ["s", "d"]
    assert contents(of_branch.tail) == ["m20", "x", "y"]
    assert contents(of_main.tail) == ["m37", "m38", "m39"]
    assert not of_branch.is_whole
    assert not of_main.is_whole
    for limit in (23, 24, 25, 100):
        window = await log.window(store.user, conversation.id, limit=limit)
        assert len(window.messages()) == 25
        assert window.is_whole
    assert not (await log.window(store.user, conversation.id, limit=22)).is_whole


async def test_an_append_returns_the_window_of_its_branch(store: StoreUnderTest) -> None:
    chat = await Chat.start(store, "a", "b", "c")

    placed = await chat.append(new_message("d"), place=After(chat.ids["a"]), window=5)
    plain = await chat.append(new_message("e"), window=5)

    assert placed.window is not None
    assert plain.window is not None
    assert contents(placed.window.tail) == ["a", "d"]
    assert contents(plain.window.tail) == ["a", "d", "e"]
    assert (placed.message_count, plain.message_count) == (4, 5)


async def test_a_repeated_append_at_a_place_changes_nothing(store: StoreUnderTest) -> None:
    chat = await Chat.start(store, "a", "b")
    message, place = new_message("c", id=new_message_id()), After(chat.ids["a"])
    first = await chat.append(message, place=place)
    await chat.say("d")

    again = await chat.append(message, place=place)

    assert again == replace(first, message_count=4, revision=first.revision + 1)
    assert await chat.read() == "a c d"
    await chat.delete("a")
    assert (await chat.append(message, place=place)).messages == first.messages
    with pytest.raises(MessageIdTakenError):
        await chat.append(message._replace(content="other"), place=AtTip(MAIN))


async def test_an_append_after_what_is_not_there_is_refused(store: StoreUnderTest) -> None:
    chat = await Chat.start(store, "a", "b")
    elsewhere = await Chat.start(store, "c", "d")

    for place in (After(new_message_id()), After(elsewhere.ids["c"])):
        with pytest.raises(MessageNotFoundError):
            await chat.say("x", place=place)
    with pytest.raises(BranchNotFoundError):
        await chat.say("x", place=AtTip(ONE))
    absent = Chat(store, new_conversation())
    with pytest.raises(ConversationNotFoundError):
        await absent.say("x", place=After(None))
    assert await chat.read(EVERY) == "a b"


async def test_a_branch_is_renamed_and_made_the_current_one(store: StoreUnderTest) -> None:
    chat = await nested(store)
    log, conversation = store.log, chat.conversation
    before = await store.reload(conversation)

    changed = await log.change_branches(
        store.user, conversation.id, lambda tree: tree.rename(ONE, "a \x00 name").switch(ONE)
    )

    assert await log.tree(store.user, conversation.id) == changed
    assert (changed.current, changed[ONE].name) == (ONE, "a \x00 name")
    assert (await store.reload(conversation)).updated_at == before.updated_at
    assert await chat.say("z") == ONE
    assert await chat.read() == "a b e f g z"


async def test_switching_back_and_forth_leaves_no_trace(store: StoreUnderTest) -> None:
    chat = await nested(store)
    before = await store.log.tree(store.user, chat.conversation.id)

    for number in (MAIN, TWO, ONE, THREE):
        await chat.switch(number)

    assert await store.log.tree(store.user, chat.conversation.id) == before


async def test_deleting_a_message_leaves_the_paths_as_they_are(store: StoreUnderTest) -> None:
    chat = await nested(store)

    await chat.delete("e")  # where branch 2 left branch 1
    await chat.delete("b")

    found = [await chat.read(BranchNumber(number)) for number in range(4)]
    assert found == ["a c d", "a f g", "a h i", "a h j k"]


async def test_a_branch_that_others_left_from_is_deleted_without_what_they_share(
    store: StoreUnderTest,
) -> None:
    chat = await nested(store)

    await chat.delete_branch(ONE)

    assert await chat.read(EVERY) == "a b c d e h i j k"  # f and g are gone
    assert [await chat.read(each) for each in (MAIN, TWO, THREE)] == [
        "a b c d",
        "a b e h i",
        "a b e h j k",
    ]
    with pytest.raises(BranchNotFoundError):
        await chat.read(ONE)
    assert (await store.reload(chat.conversation)).message_count == 9


async def test_all_other_branches_can_be_deleted_in_any_order(store: StoreUnderTest) -> None:
    for order in ((MAIN, ONE, TWO), (TWO, ONE, MAIN), (ONE, MAIN, TWO)):
        chat = await nested(store)
        for number in order:
            await chat.delete_branch(number)
            assert await chat.read() == "a b e h j k"

        assert await chat.read(EVERY) == "a b e h j k"
        assert await chat.say("l") == THREE
        assert await chat.read(THREE) == "a b e h j k l"


async def test_deleting_a_branch_deletes_its_items(store: StoreUnderTest) -> None:
    chat = await Chat.start(store, "a")
    await store.append_items(chat.conversation, *numbered_items(3))
    await chat.say_after("a", "b")

    await chat.delete_branch(MAIN)

    entries, _ = await chat.page(EVERY, view=View.WHOLE)
    assert contents(entries) == ["a", "b"]
    assert len(await store.list_items(chat.conversation)) == 2


async def test_the_current_branch_and_those_on_hold_cannot_be_deleted(
    store: StoreUnderTest,
) -> None:
    chat = await nested(store)
    with pytest.raises(BranchIsCurrentError):
        await chat.delete_branch(THREE)
    with pytest.raises(BranchNotFoundError):
        await chat.delete_branch(BranchNumber(9))

    await store.conversations.change(store.user, chat.conversation.id, Changes(retain=True))

    with pytest.raises(RetainedError):
        await chat.delete_branch(ONE)
    assert await chat.read(ONE) == "a b e f g"
    assert await chat.say_after("d", "more") == MAIN  # it may still grow, and branch
    assert await chat.say_after("a", "other") == BranchNumber(4)


async def test_items_follow_the_current_branch(store: StoreUnderTest) -> None:
    chat = Chat(store, await store.start())
    await store.append_items(chat.conversation, *numbered_items(6))
    [first, *_] = await store.history(chat.conversation)
    await chat.say("new", place=After(first.id))
    items = await store.list_items(chat.conversation)

    assert len(items) == 2
    assert await store.list_items(chat.conversation, after=items[0].id) == items[1:]
    back = await store.list_items(chat.conversation, order=Order.DESC, after=items[1].id)
    assert back == items[:1]
    await chat.switch(MAIN)
    assert len(await store.list_items(chat.conversation)) == 6


async def test_items_and_keys_are_appended_at_a_place(store: StoreUnderTest) -> None:
    chat = await Chat.start(store, "a", "b")
    log, conversation = store.log, chat.conversation
    entries, place = numbered_items(4), After(chat.ids["a"])

    first = await log.append(store.user, conversation.id, entries, NOON, key=KEY, place=place)
    again = await log.append(
        store.user, conversation.id, numbered_items(4), NOON + HOUR, key=KEY, place=place
    )

    assert first.branch == again.branch == ONE
    assert [each.position for each in again.entries] == [each.position for each in first.entries]
    assert await chat.read(MAIN) == "a b"


async def test_a_create_stores_branches(store: StoreUnderTest) -> None:
    chat = await nested(store)
    tree = await store.log.tree(store.user, chat.conversation.id)
    messages, _ = await chat.page(EVERY)
    first = messages[0].position
    entries = [*entries_of(numbered_messages(len(messages))), *new_items(REASONING)]
    conversation = new_conversation(status=Status.ARCHIVED)
    given = tree.moved(1 - first)

    created = await store.log.create(conversation, entries, tree=given, provision=True)

    copy = Chat(store, created.conversation)
    stored = await store.log.tree(store.user, conversation.id)
    by = created.entries[0].position - 1
    assert stored.branches == given.moved(by).branches
    assert await copy.read(TWO) == "user 0 user 1 user 4 user 7 user 8"
    assert len((await copy.page(EVERY))[0]) == len(messages)
    again = await store.log.create(conversation, entries, tree=given, provision=True)
    assert not again.created


async def test_branches_are_of_their_owner_only(store: StoreUnderTest) -> None:
    chat = await nested(store)
    other = chat.conversation._replace(user_id=store.stranger)
    theirs = Chat(store, other)
    theirs.ids = chat.ids

    for call in (
        theirs.read(ONE),
        theirs.switch(ONE),
        theirs.delete_branch(ONE),
        theirs.say_after("b", "x"),
        store.log.tree(store.stranger, other.id),
    ):
        assert isinstance(await error_of(call), ConversationNotFoundError)


async def test_the_end_of_the_current_branch_is_truncated(store: StoreUnderTest) -> None:
    chat = await nested(store)
    log, conversation = store.log, chat.conversation

    found = await log.truncate(store.user, conversation.id, chat.ids["j"], keep=True)
    last = await log.truncate(store.user, conversation.id, chat.ids["j"], keep=False)

    assert (found.deleted, found.message_count) == (1, 10)
    assert (last.deleted, last.message_count) == (1, 9)
    assert last.revision == found.revision + 1 == (await store.reload(conversation)).revision
    assert await chat.read(EVERY) == "a b c d e f g h i"
    assert await chat.say("l") == THREE
    assert await chat.read() == "a b e h l"


async def test_what_other_branches_share_is_not_truncated(store: StoreUnderTest) -> None:
    chat = await nested(store)
    log, conversation = store.log, chat.conversation
    await chat.switch(ONE)

    for message, keep, numbers in (("b", True, (2,)), ("b", False, (0, 2)), ("e", False, (2,))):
        with pytest.raises(SharedByBranchesError) as refused:
            await log.truncate(store.user, conversation.id, chat.ids[message], keep=keep)
        assert refused.value.numbers == numbers
    with pytest.raises(SharedByBranchesError):
        await chat.replace("b", ["e", "f", "g"], "x")
    with pytest.raises(OtherBranchError):
        await log.truncate(store.user, conversation.id, chat.ids["d"], keep=True)
    assert await chat.read(EVERY) == "a b c d e f g h i j k"
    found = await log.truncate(store.user, conversation.id, chat.ids["e"], keep=True)
    assert (found.deleted, found.message_count) == (2, 9)
    assert await chat.read() == "a b e"
    await store.conversations.change(store.user, conversation.id, Changes(retain=True))
    await chat.say("new")
    with pytest.raises(RetainedError):
        await log.truncate(store.user, conversation.id, chat.ids["e"], keep=True)


async def test_the_end_of_the_current_branch_is_replaced(store: StoreUnderTest) -> None:
    chat = await nested(store)

    assert await chat.replace("h", ["j", "k"], "x", "y") == (2, 11)
    assert await chat.read() == "a b e h x y"
    assert await chat.replace("h", ["x", "y"]) == (2, 9)
    assert [await chat.read(each) for each in (ONE, TWO, THREE)] == [
        "a b e f g",
        "a b e h i",
        "a b e h",
    ]
    with pytest.raises(SuffixDiffersError):
        await chat.replace("e", ["i"], "z")
    with pytest.raises(OtherBranchError):
        await chat.replace("i", [], "z")
    with pytest.raises(MessageIdTakenError):
        await chat.replace("h", [], new_message("z", id=chat.ids["i"]))
    taken = new_message("again", id=new_message_id())
    await chat.replace("h", [], taken)
    assert await chat.replace("h", ["again"], taken._replace(content="edited")) == (1, 10)
    assert await chat.replace("h", ["again"], taken._replace(content="edited")) == (0, 10)


async def test_every_change_of_branches_raises_the_revision_and_may_expect_one(
    store: StoreUnderTest,
) -> None:
    chat = await nested(store)
    log, conversation_id = store.log, chat.conversation.id

    async def revision() -> int:
        return (await store.reload(chat.conversation)).revision

    before = await revision()
    switched = await log.change_branches(
        store.user, conversation_id, lambda tree: tree.switch(ONE), expected=before
    )
    assert switched.revision == await revision() == before + 1
    same = await log.change_branches(store.user, conversation_id, lambda tree: tree.switch(ONE))
    assert same.revision == before + 1
    deleted = await log.delete_branch(store.user, conversation_id, TWO, expected=before + 1)
    assert deleted == await revision() == before + 2
    placed = await chat.append(new_message("x"), place=After(chat.ids["a"]))
    assert placed.revision == await revision() == before + 3
    old = before + 2
    for call in (
        log.change_branches(store.user, conversation_id, lambda t: t.switch(MAIN), expected=old),
        log.delete_branch(store.user, conversation_id, MAIN, expected=old),
        log.append(
            store.user,
            conversation_id,
            entries_of([new_message("y")]),
            NOON,
            place=AtTip(MAIN),
            expected=old,
        ),
        log.truncate(store.user, conversation_id, chat.ids["x"], keep=False, expected=old),
        log.replace(
            store.user, conversation_id, chat.ids["x"], [], [new_message("z")], NOON, expected=old
        ),
    ):
        assert isinstance(await error_of(call), RevisionConflictError)
    assert await revision() == before + 3
