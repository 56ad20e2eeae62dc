"""Events: a reader gets every message once, in order, from wherever they go on."""

from chatkeep.domain.branches import MAIN, After
from chatkeep.domain.errors import ConversationNotFoundError
from chatkeep.domain.events import FROM_START, EventKind, EventPage, Followed, Mark
from chatkeep.domain.log import entries_of
from chatkeep.domain.model import Conversation, MessageId
from chatkeep.domain.operations.selftest.builders import ALICE, BOB, HOUR, NOON, new_message
from chatkeep.domain.operations.selftest.store import MANY, StoreUnderTest
from chatkeep.domain.pages import NO_BOUND
from chatkeep.testing.builders import error_of, numbered_messages, start_numbered


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
    assert (said(page), page.is_branched) == (["edited"], True)
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
        Followed(ALICE, each.id, page.mark.revision)
        for each, page in zip(conversations, read, strict=True)
    ]
    strangers = followed[0]._replace(user_id=BOB)
    assert list(await store.events.moved(followed)) == []

    await store.append(conversations[1], new_message("new"))
    await store.conversations.delete(ALICE, conversations[2].id)

    moved = await store.events.moved([*followed, strangers])
    assert set(moved) == {followed[1], followed[2], strangers}
    assert list(await store.events.moved([])) == []
