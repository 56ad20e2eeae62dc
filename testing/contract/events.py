"""Events: a reader gets every message once, in order, from wherever they go on."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from chatkeep.domain.branches import MAIN
from chatkeep.domain.drafts import DraftStatus, NewChunks
from chatkeep.domain.editing import MessagePatch
from chatkeep.domain.errors import ConversationNotFoundError
from chatkeep.domain.events import (
    ANY_REVISION,
    ENDED,
    FROM_START,
    NO_DRAFTS,
    EventKind,
    EventPage,
    Followed,
    Mark,
    PendingDraft,
)
from chatkeep.domain.feed import FIRST_KEY, FollowedUser, Moved
from chatkeep.domain.ids import of_user, parse_id
from chatkeep.domain.log import entries_of
from chatkeep.domain.model import (
    BranchNumber,
    Changes,
    Conversation,
    ConversationId,
    JsonText,
    Limits,
    Message,
    MessageId,
    Status,
)
from chatkeep.domain.operations.selftest.builders import ALICE, BOB, HOUR, NOON, new_message
from chatkeep.domain.operations.selftest.store import MANY, StoreUnderTest
from chatkeep.domain.pages import NO_BOUND
from chatkeep.domain.places import After
from chatkeep.testing.builders import error_of, numbered_messages, start_numbered
from chatkeep.testing.contract.drafts import new_draft


async def read_events(
    store: StoreUnderTest,
    conversation: Conversation,
    after: Mark = FROM_START,
    *,
    limit: int = MANY,
    max_bytes: int = NO_BOUND,
) -> EventPage:
    return await store.events.read(
        conversation.user_id, conversation.id, after, limit=limit, max_bytes=max_bytes
    )


def said(page: EventPage) -> list[str | None]:
    assert all(each.kind is EventKind.MESSAGE_CREATED for each in page.events)
    return [each.message.content for each in page.events if each.message is not None]


def described(page: EventPage) -> list[str]:
    """Return what happened, in short: messages by their contents, or their ids if gone."""
    found = []
    for each in page.events:
        if each.message is not None:
            found.append(f"{each.kind.rpartition('.')[2]} {each.message.content}")
        elif each.message_id is not None:
            found.append(f"deleted {each.message_id}")
        else:
            assert each.conversation is not None
            found.append("conversation")
    return found


async def test_the_events_of_a_conversation_are_its_messages_with_their_parents(
    store: StoreUnderTest,
) -> None:
    conversation, history = await start_numbered(store, 3)

    page = await read_events(store, conversation)

    assert [each.message for each in page.events] == history
    assert [each.parent_id for each in page.events] == [None, history[0].id, history[1].id]
    assert {(each.branch, each.conversation_id) for each in page.events} == {
        (MAIN, conversation.id)
    }
    assert (page.more, page.is_branched, page.is_over) == (False, False, False)
    assert page.events[-1].mark == page.mark
    assert (await read_events(store, conversation, page.mark)).events == []


async def test_a_reader_goes_on_from_the_mark_of_any_event(store: StoreUnderTest) -> None:
    conversation, history = await start_numbered(store, 4)
    page = await read_events(store, conversation)

    for read, event in enumerate(page.events, 1):
        rest = await read_events(store, conversation, event.mark)
        assert [each.message for each in rest.events] == history[read:]
        if rest.events:
            assert rest.events[0].parent_id == history[read - 1].id


async def test_a_page_of_events_has_at_most_as_many_as_asked_for(store: StoreUnderTest) -> None:
    conversation, history = await start_numbered(store, 5)

    found, mark, sizes = [], FROM_START, []
    while True:
        page = await read_events(store, conversation, mark, limit=2)
        found += [each.message for each in page.events]
        sizes.append(len(page.events))
        mark = page.mark
        if not page.more:
            break

    assert (found, sizes) == (history, [2, 2, 1])


async def test_a_page_of_events_is_bounded_in_bytes(store: StoreUnderTest) -> None:
    conversation = await store.start()
    contents = ["a" * 3000, "b", "c" * 9000, "d"]
    await store.append(conversation, *map(new_message, contents))

    pages, mark = [], FROM_START
    while True:
        page = await read_events(store, conversation, mark, limit=10, max_bytes=4000)
        pages.append(said(page))
        mark = page.mark
        if not page.more:
            break

    assert [each for page in pages for each in page] == contents
    assert [contents[2]] in pages


async def test_a_reader_may_start_with_what_happens_from_now_on(store: StoreUnderTest) -> None:
    conversation, _ = await start_numbered(store, 2)

    mark = await store.events.latest(ALICE, conversation.id)
    assert (await read_events(store, conversation, mark)).events == []
    await store.append(conversation, new_message("later"))
    assert said(await read_events(store, conversation, mark)) == ["later"]


async def test_a_message_is_an_event_also_if_the_clock_goes_back(store: StoreUnderTest) -> None:
    conversation = await store.start()
    await store.append(conversation, new_message("a"), at=NOON + HOUR)
    mark = (await read_events(store, conversation)).mark

    await store.append(conversation, new_message("b"), at=NOON)

    assert said(await read_events(store, conversation, mark)) == ["b"]


async def test_the_messages_of_all_branches_are_events(store: StoreUnderTest) -> None:
    conversation, history = await start_numbered(store, 2)
    mark = (await read_events(store, conversation)).mark

    await store.log.append(
        ALICE,
        conversation.id,
        entries_of([new_message("edited")]),
        NOON,
        place=After(history[0].id),
    )

    page = await read_events(store, conversation, mark)
    assert (described(page), page.is_branched) == (["created edited", "conversation"], True)
    assert len((await read_events(store, conversation)).events) == 3


async def test_a_put_of_a_new_message_is_an_event(store: StoreUnderTest) -> None:
    conversation, _ = await start_numbered(store, 1)
    mark = (await read_events(store, conversation)).mark

    await store.put(conversation, new_message("put", id=MessageId(conversation.id)))

    assert said(await read_events(store, conversation, mark)) == ["put"]


async def test_the_events_of_a_conversation_that_is_gone_are_not_found(
    store: StoreUnderTest,
) -> None:
    conversation, _ = await start_numbered(store, 1)
    mark = (await read_events(store, conversation)).mark
    await store.conversations.delete(ALICE, conversation.id)

    for after in (mark, FROM_START):
        assert isinstance(
            await error_of(read_events(store, conversation, after)), ConversationNotFoundError
        )
    await store.start(new_message("again"), id=conversation.id, at=NOON + HOUR)

    assert isinstance(
        await error_of(read_events(store, conversation, mark)), ConversationNotFoundError
    )
    assert said(await read_events(store, conversation)) == ["again"]


async def test_a_stranger_finds_no_events(store: StoreUnderTest) -> None:
    conversation, _ = await start_numbered(store, 1)
    theirs = conversation._replace(user_id=BOB)

    for attempt in (read_events(store, theirs), store.events.latest(BOB, conversation.id)):
        assert isinstance(await error_of(attempt), ConversationNotFoundError)


async def test_conversations_that_have_moved_are_found_among_those_that_are_followed(
    store: StoreUnderTest,
) -> None:
    conversations = [await store.start(*numbered_messages(1)) for _ in range(3)]
    read = [await read_events(store, each) for each in conversations]
    followed = [
        Followed(ALICE, each.id, page.mark.revision, *page.mark.unread_draft)
        for each, page in zip(conversations, read, strict=True)
    ]
    strangers = followed[0]._replace(user_id=BOB)
    assert list(await store.events.moved(followed)) == []

    await store.append(conversations[1], new_message("new"))
    await store.conversations.delete(ALICE, conversations[2].id)

    moved = await store.events.moved([*followed, strangers])
    assert set(moved) == {followed[1], followed[2], strangers}
    assert list(await store.events.moved([])) == []


async def start_read(store: StoreUnderTest, count: int) -> tuple[Conversation, list[Message], Mark]:
    """Start a conversation with numbered messages, and read its events."""
    conversation, history = await start_numbered(store, count)
    return conversation, history, (await read_events(store, conversation)).mark


async def test_an_edit_and_a_patch_are_events_with_the_message_as_it_is_now(
    store: StoreUnderTest,
) -> None:
    conversation, history, mark = await start_read(store, 2)

    await store.put(conversation, new_message("edited", id=history[0].id))
    await store.patch(conversation, history[1].id, MessagePatch(metadata=JsonText('{"a":1}')))
    page = await read_events(store, conversation, mark)

    assert [each.kind for each in page.events] == [EventKind.MESSAGE_UPDATED] * 2
    assert [each.message for each in page.events] == await store.history(conversation)
    assert (await read_events(store, conversation, page.mark)).events == []
    [later] = (await read_events(store, conversation, page.events[0].mark)).events
    assert later.message is not None
    assert later.message.id == history[1].id


async def test_deletions_are_events_with_the_ids_of_the_messages(store: StoreUnderTest) -> None:
    conversation, history, mark = await start_read(store, 6)

    await store.log.delete(ALICE, conversation.id, history[0].id)
    await store.log.delete_at(ALICE, conversation.id, history[1].position)
    await store.truncate(conversation, history[4].id, keep=False)

    page = await read_events(store, conversation, mark)
    gone = [history[0], history[1], history[4], history[5]]
    assert described(page) == [f"deleted {each.id}" for each in gone]
    left = [(await read_events(store, conversation, each.mark)).events for each in page.events]
    assert [len(each) for each in left] == [3, 2, 1, 0]


async def test_a_replaced_suffix_is_deleted_and_stored_anew(store: StoreUnderTest) -> None:
    conversation, history, mark = await start_read(store, 3)

    await store.replace(
        conversation,
        new_message("same id", id=history[1].id),
        new_message("another"),
        after=history[0].id,
        suffix=[history[1].id, history[2].id],
    )

    page = await read_events(store, conversation, mark)
    assert described(page) == ["created same id", "created another", f"deleted {history[2].id}"]


async def test_a_message_that_is_stored_again_is_new_and_not_deleted(
    store: StoreUnderTest,
) -> None:
    conversation, history, mark = await start_read(store, 2)

    await store.log.delete(ALICE, conversation.id, history[0].id)
    await store.append(conversation, new_message("again", id=history[0].id))

    assert described(await read_events(store, conversation, mark)) == ["created again"]


async def test_a_message_that_was_edited_and_deleted_is_only_deleted(
    store: StoreUnderTest,
) -> None:
    conversation, history, mark = await start_read(store, 1)

    await store.put(conversation, new_message("edited", id=history[0].id))
    await store.log.delete(ALICE, conversation.id, history[0].id)

    assert described(await read_events(store, conversation, mark)) == [f"deleted {history[0].id}"]


async def test_changes_come_after_all_new_messages(store: StoreUnderTest) -> None:
    conversation, history, mark = await start_read(store, 1)
    await store.put(conversation, new_message("edited", id=history[0].id))
    await store.append(conversation, *numbered_messages(3))

    found, pages = [], 0
    while True:
        page = await read_events(store, conversation, mark, limit=2)
        found += described(page)
        pages += 1
        mark = page.mark
        if not page.more:
            break

    assert found[:-1] == [f"created user {number}" for number in range(3)]
    assert (found[-1], pages) == ("updated edited", 2)


async def test_a_reader_who_starts_gets_no_changes_of_the_past(store: StoreUnderTest) -> None:
    conversation, history, _ = await start_read(store, 3)
    await store.put(conversation, new_message("edited", id=history[0].id))
    await store.log.delete(ALICE, conversation.id, history[1].id)

    first = await read_events(store, conversation, limit=1)
    await store.put(conversation, new_message("edited again", id=history[0].id))
    rest = await read_events(store, conversation, first.mark)

    assert described(first) == ["created edited"]
    assert described(rest) == ["created user 2", "updated edited again"]


async def test_changes_of_the_conversation_are_events(store: StoreUnderTest) -> None:
    conversation, _, mark = await start_read(store, 1)

    changed = await store.conversations.change(ALICE, conversation.id, Changes(title="new"))

    [event] = (await read_events(store, conversation, mark)).events
    assert (event.kind, event.conversation) == (EventKind.CONVERSATION_UPDATED, changed)


async def test_a_switch_and_a_deletion_of_branches_are_events(store: StoreUnderTest) -> None:
    conversation, history, _ = await start_read(store, 2)
    edited = entries_of([new_message("edited")])
    await store.log.append(ALICE, conversation.id, edited, NOON, place=After(history[0].id))
    mark = (await read_events(store, conversation)).mark

    await store.log.change_branches(ALICE, conversation.id, lambda tree: tree.switch(MAIN))
    await store.log.delete_branch(ALICE, conversation.id, BranchNumber(1))

    page = await read_events(store, conversation, mark)
    [gone] = [each.message_id for each in page.events if each.message_id is not None]
    assert gone not in {each.id for each in history}
    assert described(page) == ["conversation", "conversation", f"deleted {gone}"]


async def test_an_archived_conversation_is_an_event(store: StoreUnderTest) -> None:
    conversation, _, mark = await start_read(store, 1)
    idle = await store.sweeps.to_archive(NOON + HOUR, limit=MANY)

    await store.sweeps.archive(idle, NOON + HOUR)

    [event] = (await read_events(store, conversation, mark)).events
    assert event.conversation is not None
    assert event.conversation.status is Status.ARCHIVED


async def test_a_change_that_changes_nothing_is_no_event(store: StoreUnderTest) -> None:
    conversation, history, mark = await start_read(store, 2)

    await store.put(conversation, new_message("user 0", id=history[0].id))
    await store.patch(conversation, history[1].id, MessagePatch())
    await store.truncate(conversation, history[1].id)
    await store.log.change_branches(ALICE, conversation.id, lambda tree: tree)
    await error_of(store.conversations.change(ALICE, conversation.id, Changes(), expected=77))

    assert (await read_events(store, conversation, mark)).events == []


async def test_changes_are_forgotten_when_they_are_old(store: StoreUnderTest) -> None:
    conversation, history, mark = await start_read(store, 4)
    await store.truncate(conversation, history[0].id)
    tomorrow = datetime.now(UTC) + timedelta(days=1)

    assert await store.events.forget(tomorrow - timedelta(days=2), limit=MANY) == 0
    assert await store.events.forget(tomorrow, limit=2) == 2
    assert len((await read_events(store, conversation, mark)).events) == 1
    assert await store.events.forget(tomorrow, limit=MANY) == 1
    assert (await read_events(store, conversation, mark)).events == []


async def test_a_conversation_that_is_created_again_has_events_of_its_own(
    store: StoreUnderTest,
) -> None:
    conversation, history, _ = await start_read(store, 3)
    await store.truncate(conversation, history[0].id)
    await store.conversations.change(ALICE, conversation.id, Changes(title="old"))
    await store.conversations.delete(ALICE, conversation.id)
    again = await store.start(new_message("a"), id=conversation.id, at=NOON + HOUR)
    mark = (await read_events(store, again)).mark

    for title in ("b", "c", "d"):
        await store.conversations.change(ALICE, again.id, Changes(title=title))
        [event] = (await read_events(store, again, mark)).events
        assert event.conversation is not None
        assert event.conversation.title == title
        mark = event.mark
    await store.conversations.delete(ALICE, again.id)


async def test_a_new_chunk_moves_what_is_followed(store: StoreUnderTest) -> None:
    conversation, _, mark = await start_read(store, 1)

    async def has_moved(mark: Mark) -> bool:
        read = Followed(ALICE, conversation.id, mark.revision, *mark.unread_draft)
        return list(await store.events.moved([read])) == [read]

    assert not await has_moved(mark)
    draft = await store.drafts.start(new_draft(conversation), forget_before=NOON)
    assert await has_moved(mark)
    started = mark._replace(draft=draft.number, chunk=0)
    assert not await has_moved(started)

    await store.drafts.write(
        ALICE, conversation.id, draft.id, draft.epoch, 1, NewChunks(["a", "b"]), NOON, Limits()
    )
    assert await has_moved(started)
    written = started._replace(chunk=2)
    assert not await has_moved(written)

    draft = await store.drafts.get(ALICE, conversation.id, draft.id)
    assert await store.drafts.end(draft, DraftStatus.CANCELLED, NOON, None, place=None)
    assert await has_moved(written)
    assert not await has_moved(written._replace(chunk=ENDED))
    without = Followed(ALICE, conversation.id, mark.revision, *NO_DRAFTS)
    assert list(await store.events.moved([without])) == []


async def test_a_reader_of_a_draft_alone_is_not_moved_by_messages(store: StoreUnderTest) -> None:
    conversation, _, _ = await start_read(store, 1)
    draft = await store.drafts.start(new_draft(conversation), forget_before=NOON)
    alone = Followed(ALICE, conversation.id, ANY_REVISION, draft.number, 0)
    gone = alone._replace(conversation_id=ConversationId(parse_id("gone")))

    await store.append(conversation, new_message("another"))
    assert list(await store.events.moved([alone, gone])) == [gone]

    await store.drafts.write(
        ALICE, conversation.id, draft.id, draft.epoch, 1, NewChunks(["a"]), NOON, Limits()
    )
    assert list(await store.events.moved([alone])) == [alone]
    assert list(await store.events.moved([alone._replace(chunk=1)])) == []
    await store.conversations.delete(ALICE, conversation.id)
    assert list(await store.events.moved([alone._replace(chunk=1)])) != []


async def test_a_page_names_the_draft_with_something_new(store: StoreUnderTest) -> None:
    conversation, _, mark = await start_read(store, 1)
    assert (await read_events(store, conversation)).pending is None
    draft = await store.drafts.start(new_draft(conversation), forget_before=NOON)
    pending = PendingDraft(
        draft.id,
        draft.number,
        1,
        draft.format,
        is_active=True,
        progress_at=draft.progress_at,
        deadline=draft.deadline,
    )

    for after in (mark, FROM_START, await store.events.latest(ALICE, conversation.id)):
        page = await read_events(store, conversation, after)
        assert page.pending == pending
        assert page.mark.unread_draft[0] <= draft.number
    known = mark._replace(draft=draft.number, chunk=0)
    assert (await read_events(store, conversation, known)).pending == pending
    assert await store.drafts.end(draft, DraftStatus.CANCELLED, NOON, None, place=None)

    ended = pending._replace(is_active=False)
    assert (await read_events(store, conversation, known)).pending == ended
    assert (await read_events(store, conversation, known._replace(chunk=ENDED))).pending is None
    for after in (FROM_START, await store.events.latest(ALICE, conversation.id)):
        page = await read_events(store, conversation, after)
        assert page.pending is None
        assert (await read_events(store, conversation, page.mark)).pending is None


async def test_the_next_chunks_of_a_draft_come_along_unless_there_are_events(
    store: StoreUnderTest,
) -> None:
    conversation, _, mark = await start_read(store, 1)
    draft = await store.drafts.start(new_draft(conversation), forget_before=NOON)
    given = [f"{number} \x00é" for number in range(1, 6)]
    for first, last in ((1, 2), (3, 3), (4, 5)):
        new = NewChunks(given[first - 1 : last])
        await store.drafts.write(
            ALICE, conversation.id, draft.id, draft.epoch, first, new, NOON, Limits()
        )

    async def come(after: Mark, size: int = NO_BOUND) -> list[tuple[int, str]]:
        page = await store.events.read(ALICE, conversation.id, after, limit=MANY, chunk_bytes=size)
        assert page.pending is not None
        return [(chunk.seq, chunk.text) for chunk in page.pending.chunks]

    known = mark._replace(draft=draft.number, chunk=0)
    numbered = [*enumerate(given, 1)]
    assert await come(mark) == numbered
    for chunk in range(6):
        assert await come(known._replace(chunk=chunk)) == numbered[chunk:]
    assert await come(known, 0) == []
    some = await come(known, 1)
    assert numbered[: len(some)] == some != []
    await store.append(conversation, new_message("a question"))
    assert await come(known) == []


async def moved_since(
    store: StoreUnderTest, since: datetime, key: UUID = FIRST_KEY, *, limit: int = MANY
) -> list[Moved]:
    return [*await store.events.moved_since(ALICE, since, key, limit=limit)]


async def test_conversations_that_moved_since_a_time_are_found_in_order(
    store: StoreUnderTest,
) -> None:
    times = [NOON, NOON, NOON + HOUR, NOON + 2 * HOUR]
    conversations = [await store.start(new_message("a"), at=at) for at in times]
    await store.start(new_message("theirs"), user_id=BOB, at=NOON + HOUR)
    expected = sorted(conversations, key=lambda each: (each.updated_at, each.id))

    found = await moved_since(store, NOON)

    assert found == [
        Moved(each.id, each.updated_at, each.created_at, each.revision, None) for each in expected
    ]
    for read, last in enumerate(found, 1):
        key = UUID(int=last.conversation_id.int)
        rest = await moved_since(store, last.moved_at, key)
        assert rest == found[read:]
        assert await moved_since(store, last.moved_at, key, limit=1) == rest[:1]


async def test_changes_move_a_conversation_and_so_does_its_end(store: StoreUnderTest) -> None:
    conversation, history, _ = await start_read(store, 3)
    other = await store.start(id=of_user(ALICE, parse_id("a text")))
    before = datetime.now(UTC) - timedelta(minutes=5)
    assert await moved_since(store, before) == []

    await store.log.delete(ALICE, conversation.id, history[0].id)
    await store.log.delete(ALICE, conversation.id, history[1].id)
    await store.conversations.delete(ALICE, other.id)

    found = {each.conversation_id: each for each in await moved_since(store, before)}
    changed, gone = found[conversation.id], found[other.id]
    assert (changed.revision, changed.changed, changed.is_gone) == (3, 2, False)
    assert changed.created_at == conversation.created_at
    assert (gone.revision, gone.changed, gone.is_gone) == (2, 2, True)
    assert str(next(each for each in found if each == other.id)) == "a text"
    assert changed.moved_at > before


async def test_whatever_changes_is_activity_of_its_user(store: StoreUnderTest) -> None:
    conversation, history, _ = await start_read(store, 2)
    followed = [FollowedUser(ALICE, NOON - HOUR), FollowedUser(BOB, NOON - HOUR)]
    seen = [*await store.events.activity(followed)]
    assert [*await store.events.activity(followed)] == seen

    async def check() -> None:
        mine, theirs = await store.events.activity(followed)
        assert mine != seen[0]
        assert theirs == seen[1]
        seen[0] = mine

    await store.append(conversation, new_message("new"))
    await check()
    await store.put(conversation, new_message("edited", id=history[0].id))
    await check()
    await store.start(at=NOON)
    await check()
    await store.conversations.delete(ALICE, conversation.id)
    await check()
    assert list(await store.events.activity([])) == []
