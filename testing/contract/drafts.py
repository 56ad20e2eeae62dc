"""Drafts: started, written, read and ended, with at most one active draft of a conversation."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from chatkeep.domain.branches import MAIN
from chatkeep.domain.draft_errors import (
    DraftActiveError,
    DraftEndedError,
    DraftExpiredError,
    DraftGapError,
    DraftIdTakenError,
    DraftNotFoundError,
    DraftSupersededError,
)
from chatkeep.domain.drafts import (
    FIRST_CHUNK,
    TEXT,
    Chunk,
    Draft,
    DraftId,
    DraftStatus,
    EndedDraft,
    NewChunks,
)
from chatkeep.domain.errors import (
    BranchNotFoundError,
    ConversationNotFoundError,
    InvalidValueError,
    LimitExceededError,
    MessageIdTakenError,
    MessageNotFoundError,
)
from chatkeep.domain.ids import of_conversation, parse_id
from chatkeep.domain.log import entries_of
from chatkeep.domain.model import (
    BranchNumber,
    Changes,
    Conversation,
    JsonText,
    Limits,
    MessageId,
    NewMessage,
    OriginalText,
    Position,
    Role,
    Status,
    UserId,
)
from chatkeep.domain.operations.selftest.builders import ALICE, BOB, HOUR, NOON, new_message
from chatkeep.domain.operations.selftest.store import StoreUnderTest
from chatkeep.domain.places import After, AtTip, Place
from chatkeep.testing.builders import (
    SECOND,
    assert_unchanged,
    contents,
    error_of,
    new_conversation_id,
    new_full_message,
    normalize,
    start_numbered,
)

NOBODY_FORGETS = NOON - 24 * HOUR
LIMITS = Limits()
FINISHED, CANCELLED = DraftStatus.FINISHED, DraftStatus.CANCELLED


def new_draft(conversation: Conversation, **fields: Any) -> Draft:  # noqa: ANN401 - the fields' own
    """Return a draft to start at noon, with a lease of a minute and an hour to live."""
    own_id = DraftId(uuid4())
    given: dict[str, Any] = {
        "id": own_id,
        "user_id": conversation.user_id,
        "conversation_id": conversation.id,
        "message_id": MessageId(own_id),
        "started_at": NOON,
        "progress_at": NOON,
        "ends_by": NOON + HOUR,
    }
    return Draft(**(given | fields))


async def start(
    store: StoreUnderTest,
    conversation: Conversation,
    **fields: Any,  # noqa: ANN401 - the fields' own
) -> Draft:
    new = new_draft(conversation, **fields)
    return await store.drafts.start(new, forget_before=NOBODY_FORGETS)


async def write(  # noqa: PLR0913 - the call's own
    store: StoreUnderTest,
    draft: Draft,
    *texts: str,
    seq: int | None = None,
    epoch: int | None = None,
    at: datetime = NOON,
    limits: Limits = LIMITS,
    are_documents: bool = False,
) -> Draft:
    return await store.drafts.write(
        draft.user_id,
        draft.conversation_id,
        draft.id,
        draft.epoch if epoch is None else epoch,
        draft.next if seq is None else seq,
        NewChunks(texts, are_documents),
        at,
        limits,
    )


async def end(  # noqa: PLR0913 - the call's own
    store: StoreUnderTest,
    draft: Draft,
    content: str | None = None,
    status: DraftStatus = FINISHED,
    *,
    at: datetime = NOON + HOUR,
    place: Place | None = None,
) -> EndedDraft | None:
    message = None
    if content is not None:
        message = new_message(content, Role.ASSISTANT, id=draft.message_id)
    return await store.drafts.end(draft, status, at, message, place=place)


async def get(store: StoreUnderTest, draft: Draft) -> Draft:
    return await store.drafts.get(draft.user_id, draft.conversation_id, draft.id)


async def chunks_of(
    store: StoreUnderTest, draft: Draft, *, after: int = 0, max_bytes: int = 2**62
) -> list[Chunk]:
    found = await store.drafts.chunks(
        draft.user_id, draft.conversation_id, draft.number, after=after, max_bytes=max_bytes
    )
    return [*found]


def texts_in(chunks: Sequence[Chunk]) -> list[str]:
    return [chunk.text for chunk in chunks]


async def test_a_draft_is_started_with_all_its_fields(store: StoreUnderTest) -> None:
    conversation, history = await start_numbered(store, 3)
    own_id = of_conversation(conversation.id, parse_id("draft / 1"))
    message_id = of_conversation(conversation.id, parse_id("message \ufdd0 1"))
    new = new_draft(
        conversation,
        id=DraftId(own_id),
        message_id=message_id,
        place=After(history[1].id),
        format="own",
        metadata=JsonText('{"a":1.10,"b":"\\u0000"}'),
        lease=5,
    )

    draft = await store.drafts.start(new, forget_before=NOBODY_FORGETS)

    assert draft.number > history[-1].position
    assert await get(store, draft) == draft
    assert (str(draft.id), str(draft.message_id)) == ("draft / 1", "message \ufdd0 1")
    assert draft.is_same_start(new)
    assert replace(draft, metadata=new.metadata) == replace(new, number=draft.number)


@pytest.mark.parametrize("place", [None, After(None), AtTip(MAIN), "after a text id"])
async def test_a_draft_keeps_its_place(store: StoreUnderTest, place: Place | str | None) -> None:
    conversation, _ = await start_numbered(store, 3)
    if isinstance(place, str):
        named = of_conversation(conversation.id, parse_id('a "text" \ufdd0 id'))
        await store.append(conversation, new_message("named", id=named))
        place = After(named)

    draft = await start(store, conversation, place=place)

    assert (await get(store, draft)).place == place
    assert type((await get(store, draft)).place) is type(place)


async def test_a_draft_is_no_change_of_its_conversation(store: StoreUnderTest) -> None:
    conversation, _ = await start_numbered(store, 3)

    async with assert_unchanged(store, ALICE):
        draft = await start(store, conversation)
        draft = await write(store, draft, "a", at=NOON + HOUR / 2)
        await end(store, draft, status=CANCELLED)
        assert (await get(store, draft)).status is CANCELLED


async def test_numbers_grow_with_positions(store: StoreUnderTest) -> None:
    """Also if the clock does not move or goes back, and after drafts were forgotten."""
    conversation, history = await start_numbered(store, 3)
    numbers: list[Position] = [history[-1].position]
    for at in (NOON, NOON, NOON - HOUR):
        draft = await start(store, conversation, started_at=at, progress_at=at)
        numbers.append(draft.number)
        ended = await end(store, draft, "text", at=at)
        assert ended is not None
        assert ended.message is not None
        numbers.append(ended.message.position)
        await store.drafts.forget(NOON + HOUR, limit=10)

    assert numbers == sorted(set(numbers))


async def test_a_second_draft_is_refused_while_one_is_active(store: StoreUnderTest) -> None:
    conversation = await store.start()
    draft = await start(store, conversation)
    await write(store, draft, "a", "b")

    with pytest.raises(DraftActiveError) as refusal:
        await start(store, conversation)
    assert refusal.value.draft_id == draft.id
    assert (refusal.value.epoch, refusal.value.next_chunk) == (1, 3)

    other = await store.start()
    await start(store, other)  # of another conversation
    await end(store, await get(store, draft))
    assert (await start(store, conversation)).number > draft.number


async def test_of_starts_at_once_one_succeeds(store: StoreUnderTest) -> None:
    conversation = await store.start()

    results = await asyncio.gather(
        *(start(store, conversation) for _ in range(5)), return_exceptions=True
    )

    [draft] = [each for each in results if isinstance(each, Draft)]
    refusals = [each for each in results if isinstance(each, DraftActiveError)]
    assert {each.draft_id for each in refusals} == {draft.id}
    assert len(refusals) == 4


async def test_a_start_can_be_repeated(store: StoreUnderTest) -> None:
    conversation = await store.start()
    new = new_draft(conversation, metadata=JsonText('{"a":1,"b":2}'))
    draft = await store.drafts.start(new, forget_before=NOBODY_FORGETS)
    written = await write(store, draft, "a")

    again = replace(
        new, metadata=JsonText('{"b":2,"a":1}'), started_at=NOON + SECOND, progress_at=NOON + SECOND
    )

    assert await store.drafts.start(again, forget_before=NOBODY_FORGETS) == written


@pytest.mark.parametrize(
    "change",
    [
        {"message_id": MessageId(uuid4())},
        {"format": "own"},
        {"lease": 3},
        {"place": After(None)},
        {"metadata": JsonText('{"a":1}')},
    ],
)
async def test_an_id_is_for_one_draft(store: StoreUnderTest, change: dict[str, Any]) -> None:
    conversation = await store.start()
    draft = await start(store, conversation)

    with pytest.raises(DraftIdTakenError):
        await store.drafts.start(replace(draft, **change), forget_before=NOBODY_FORGETS)


async def test_an_ended_draft_is_not_started_again(store: StoreUnderTest) -> None:
    conversation = await store.start()
    draft = await start(store, conversation)
    await end(store, draft, status=CANCELLED)

    with pytest.raises(DraftEndedError) as refusal:
        await store.drafts.start(draft, forget_before=NOBODY_FORGETS)
    assert refusal.value.status == "cancelled"


async def test_a_draft_needs_a_conversation_and_a_free_message_id(store: StoreUnderTest) -> None:
    conversation, history = await start_numbered(store, 1)

    with pytest.raises(MessageIdTakenError):
        await start(store, conversation, message_id=history[0].id)
    for stranger in (replace_id(conversation), conversation._replace(user_id=BOB)):
        with pytest.raises(ConversationNotFoundError):
            await start(store, stranger)


def replace_id(conversation: Conversation) -> Conversation:
    return conversation._replace(id=new_conversation_id())


async def test_chunks_are_read_as_they_were_written(store: StoreUnderTest) -> None:
    draft = await start(store, await store.start())

    written = await write(store, draft, "a", "\x00 \ufdd0 \U0001f9f5\n", at=NOON + SECOND)
    written = await write(store, written, "c", at=NOON + 2 * SECOND)

    assert written == await get(store, draft)
    assert written.next == FIRST_CHUNK + 3
    assert written.chars == 8
    assert written.bytes == 13 + 3 * 16
    assert written.progress_at == NOON + 2 * SECOND
    chunks = [Chunk(1, "a"), Chunk(2, "\x00 \ufdd0 \U0001f9f5\n"), Chunk(3, "c")]
    for after in range(5):
        assert await chunks_of(store, draft, after=after) == chunks[after:]


async def test_documents_are_kept_byte_for_byte(store: StoreUnderTest) -> None:
    draft = await start(store, await store.start(), format="own")
    documents = ['{ "a" : 1.10, "a": "\\u0000 \\ud83e\\uddf5" }', "{}"]

    await write(store, draft, *documents, are_documents=True)

    assert texts_in(await chunks_of(store, draft)) == documents


@pytest.mark.parametrize(("format_", "are_documents"), [(TEXT, True), ("own", False)])
async def test_chunks_are_of_the_drafts_kind(
    store: StoreUnderTest, format_: str, *, are_documents: bool
) -> None:
    draft = await start(store, await store.start(), format=format_)

    with pytest.raises(InvalidValueError):
        await write(store, draft, "{}", are_documents=are_documents)
    assert await get(store, draft) == draft


async def test_a_repeated_write_changes_nothing(store: StoreUnderTest) -> None:
    draft = await start(store, await store.start())
    written = await write(store, draft, "a", "b", "c", at=NOON + SECOND)

    for seq, given in ((1, "abc"), (1, "a"), (3, "c"), (2, "bc")):
        assert await write(store, draft, *given, seq=seq, at=NOON + HOUR / 2) == written
    longer = await write(store, draft, *"bcde", seq=2, at=NOON + HOUR / 2)

    assert longer.next == 6
    assert longer.chars == 5
    assert texts_in(await chunks_of(store, draft)) == [*"abcde"]


async def test_a_gap_is_refused(store: StoreUnderTest) -> None:
    draft = await start(store, await store.start())
    written = await write(store, draft, "a")

    with pytest.raises(DraftGapError) as refusal:
        await write(store, draft, "c", seq=3)
    assert refusal.value.expected == 2
    assert await get(store, draft) == written


async def test_of_equal_writes_at_once_each_chunk_is_stored_once(store: StoreUnderTest) -> None:
    draft = await start(store, await store.start())

    for seq in range(1, 6, 2):
        await asyncio.gather(*(write(store, draft, str(seq), "x", seq=seq) for _ in range(4)))

    assert texts_in(await chunks_of(store, draft)) == [*"1x3x5x"]


async def test_progress_never_goes_back(store: StoreUnderTest) -> None:
    draft = await start(store, await store.start())

    written = await write(store, draft, "a", at=NOON - HOUR)

    assert written.progress_at == NOON


async def test_a_draft_has_limits(store: StoreUnderTest) -> None:
    draft = await start(store, await store.start())
    chars = Limits(max_message_chars=5)
    written = await write(store, draft, "\U0001f9f5bc", limits=chars)

    with pytest.raises(LimitExceededError) as refusal:
        await write(store, written, "def", limits=chars)
    assert (refusal.value.limit_name, refusal.value.actual) == ("max_message_chars", 6)
    size = Limits(max_draft_bytes=40)
    with pytest.raises(LimitExceededError) as refusal:
        await write(store, written, "def", limits=size)
    assert (refusal.value.limit_name, refusal.value.actual) == ("max_draft_bytes", 41)
    assert await get(store, draft) == written
    # What is stored already counts once.
    assert (await write(store, written, "\U0001f9f5bc", "de", seq=1, limits=chars)).chars == 5
    off = Limits(max_message_chars=0, max_draft_bytes=0)
    assert (await write(store, written, "f" * 20_000, seq=3, limits=off)).chars == 20_005


async def test_characters_of_documents_have_no_limit(store: StoreUnderTest) -> None:
    draft = await start(store, await store.start(), format="own")

    await write(store, draft, '{"a":1}', limits=Limits(max_message_chars=5), are_documents=True)


async def test_a_producer_that_was_taken_over_cannot_write(store: StoreUnderTest) -> None:
    draft = await start(store, await store.start())
    draft = await write(store, draft, "a")

    taken = await store.drafts.take_over(draft, NOON + SECOND)

    assert taken == replace(draft, epoch=2, progress_at=NOON + SECOND)
    assert await store.drafts.take_over(draft, NOON + SECOND) is None
    with pytest.raises(DraftSupersededError) as refusal:
        await write(store, draft, "old")
    assert refusal.value.epoch == 2
    assert await end(store, draft, "old") is None
    with pytest.raises(DraftActiveError):
        await store.drafts.start(draft, forget_before=NOBODY_FORGETS)
    await write(store, taken, "new")
    assert texts_in(await chunks_of(store, draft)) == ["a", "new"]


async def test_an_ended_draft_takes_no_chunks(store: StoreUnderTest) -> None:
    draft = await start(store, await store.start())
    await end(store, draft, status=CANCELLED)

    with pytest.raises(DraftEndedError) as refusal:
        await write(store, draft, "a")
    assert refusal.value.status == "cancelled"
    assert await store.drafts.take_over(draft, NOON) is None
    with pytest.raises(DraftSupersededError):
        await write(store, draft, "a", epoch=2)


async def test_a_draft_takes_no_chunks_after_its_last_moment(store: StoreUnderTest) -> None:
    draft = await start(store, await store.start(), lease=1)

    draft = await write(store, draft, "late", at=NOON + HOUR - SECOND)
    with pytest.raises(DraftExpiredError):
        await write(store, draft, "too late", at=NOON + HOUR)


async def test_an_end_appends_the_message(store: StoreUnderTest) -> None:
    conversation, history = await start_numbered(store, 3)
    draft = await write(store, await start(store, conversation), "a")
    message = new_full_message()._replace(
        id=draft.message_id, format="own", original=OriginalText('{ "a": 1.10 }'), tokens=3
    )
    [later] = await store.append(conversation, new_message("meanwhile"))

    ended = await store.drafts.end(draft, FINISHED, NOON + HOUR, message, place=None)

    assert ended is not None
    assert ended.message is not None
    assert message.equals(ended.message)
    assert ended.message.position > later.position
    assert ended.message.created_at == NOON + HOUR
    found = await store.history(conversation, originals=True)
    assert [*map(normalize, found)] == [*map(normalize, [*history, later, ended.message])]
    now = await store.reload(conversation)
    assert now == conversation._replace(
        message_count=5, updated_at=NOON + HOUR, revision=conversation.revision + 2
    )
    assert (ended.message_count, ended.revision, ended.branch) == (5, now.revision, None)
    assert ended.draft == await get(store, draft)
    assert ended.draft == replace(
        draft, status=FINISHED, ended_at=NOON + HOUR, position=ended.message.position
    )


async def test_a_draft_ends_once(store: StoreUnderTest) -> None:
    conversation = await store.start()
    draft = await write(store, await start(store, conversation), "a")

    first = await end(store, draft, "once")
    assert first is not None
    for status in DraftStatus:
        if status is not DraftStatus.ACTIVE:
            other = replace(draft, message_id=MessageId(uuid4()))
            assert await end(store, other, "twice", status) is None
    assert await end(store, draft) is None
    assert await get(store, draft) == first.draft
    assert contents(await store.history(conversation)) == ["once"]


async def test_of_ends_at_once_one_succeeds(store: StoreUnderTest) -> None:
    conversation = await store.start()
    draft = await write(store, await start(store, conversation), "a")
    others = [replace(draft, message_id=MessageId(uuid4())) for _ in range(5)]

    results = await asyncio.gather(*(end(store, each, "text") for each in others))

    [ended] = [each for each in results if each is not None]
    assert [ended.message] == await store.history(conversation)
    assert (await store.reload(conversation)).message_count == 1


async def test_a_draft_that_went_on_does_not_end(store: StoreUnderTest) -> None:
    """The caller has not seen all chunks."""
    conversation = await store.start()
    draft = await write(store, await start(store, conversation), "a")
    written = await write(store, draft, "b")

    async with assert_unchanged(store, ALICE):
        assert await end(store, draft, "a") is None
        assert await end(store, draft) is None
    assert await get(store, draft) == written


async def test_an_end_with_a_taken_id_changes_nothing(store: StoreUnderTest) -> None:
    conversation, history = await start_numbered(store, 3)
    draft = await start(store, conversation)
    taken = new_message("text", id=history[0].id)

    async with assert_unchanged(store, ALICE):
        with pytest.raises(MessageIdTakenError):
            await store.drafts.end(draft, FINISHED, NOON, taken, place=None)
    assert await get(store, draft) == draft


async def test_an_end_appends_at_a_place(store: StoreUnderTest) -> None:
    conversation, history = await start_numbered(store, 3)
    draft = await start(store, conversation, place=After(history[1].id))

    ended = await end(store, draft, "other", place=draft.place)

    assert ended is not None
    assert ended.branch == 1
    assert ended.draft.position is not None
    assert contents(await store.history(conversation)) == ["user 0", "user 1", "other"]
    await end(store, await start(store, conversation), "main", place=AtTip(MAIN))
    assert contents(await store.history(conversation)) == ["user 0", "user 1", "user 2", "main"]
    await end(store, await start(store, conversation), "current")
    assert contents(await store.history(conversation)) == [
        "user 0",
        "user 1",
        "user 2",
        "main",
        "current",
    ]


async def test_an_end_at_a_place_that_is_gone_changes_nothing(store: StoreUnderTest) -> None:
    conversation, history = await start_numbered(store, 3)
    draft = await start(store, conversation)
    await store.log.delete(ALICE, conversation.id, history[1].id)

    async with assert_unchanged(store, ALICE):
        with pytest.raises(MessageNotFoundError):
            await end(store, draft, "lost", place=After(history[1].id))
        with pytest.raises(BranchNotFoundError):
            await end(store, draft, "lost", place=AtTip(BranchNumber(7)))
    assert await get(store, draft) == draft


async def test_ends_at_places_at_once_leave_one_message_each(store: StoreUnderTest) -> None:
    conversation, history = await start_numbered(store, 3)
    draft = await start(store, conversation)
    appends = [
        store.log.append(
            ALICE, conversation.id, entries_of([new_message(str(n))]), NOON, place=After(None)
        )
        for n in range(3)
    ]

    ended, again, *_ = await asyncio.gather(
        end(store, draft, "answer", place=After(history[0].id)),
        end(store, draft, "answer", place=After(history[0].id)),
        *appends,
    )

    assert (ended is None) != (again is None)
    assert (await store.reload(conversation)).message_count == 7


async def test_drafts_go_on_on_hold_and_when_archived(store: StoreUnderTest) -> None:
    conversation = await store.start()
    changes = Changes(retain=True, status=Status.ARCHIVED)
    await store.conversations.change(ALICE, conversation.id, changes)

    draft = await write(store, await start(store, conversation), "a")
    await end(store, draft, "a")
    discarded = await start(store, conversation)
    assert await end(store, discarded, status=CANCELLED) is not None

    assert contents(await store.history(conversation)) == ["a"]


async def test_the_latest_drafts_come_first(store: StoreUnderTest) -> None:
    conversation = await store.start()
    assert await store.drafts.latest(ALICE, conversation.id, limit=3) == []
    drafts = []
    for _ in range(4):
        ended = await end(store, await start(store, conversation))
        assert ended is not None
        drafts.append(ended.draft)
    drafts.append(await start(store, conversation))

    found = await store.drafts.latest(ALICE, conversation.id, limit=3)

    assert [*found] == drafts[:1:-1]
    for stranger in (replace_id(conversation), conversation._replace(user_id=BOB)):
        with pytest.raises(ConversationNotFoundError):
            await store.drafts.latest(stranger.user_id, stranger.id, limit=3)


async def test_chunks_come_in_pages(store: StoreUnderTest) -> None:
    draft = await start(store, await store.start())
    for n in range(20):
        draft = await write(store, draft, f"{n:>84}")

    found: list[Chunk] = []
    while some := await chunks_of(store, draft, after=len(found), max_bytes=300):
        assert len(some) == 3 or len(found) + len(some) == 20
        found += some

    assert texts_in(found) == [f"{n:>84}" for n in range(20)]
    assert len(await chunks_of(store, draft, max_bytes=1)) == 1


async def test_nobody_reaches_the_drafts_of_others(store: StoreUnderTest) -> None:
    conversation = await store.start()
    draft = await write(store, await start(store, conversation), "a")
    his = await store.start(user_id=BOB, id=conversation.id)

    for stranger in (replace(draft, user_id=BOB), replace(draft, user_id=UserId("carol"))):
        with pytest.raises(DraftNotFoundError):
            await get(store, stranger)
        with pytest.raises(DraftNotFoundError):
            await write(store, stranger, "b")
        assert await chunks_of(store, stranger) == []
        assert await store.drafts.take_over(stranger, NOON) is None
        assert await end(store, stranger, "text") is None
    assert await store.drafts.latest(BOB, his.id, limit=9) == []
    assert await get(store, draft) == draft
    same_id = await start(store, his, id=draft.id)
    assert (await chunks_of(store, draft), await chunks_of(store, same_id)) == ([Chunk(1, "a")], [])


async def test_drafts_go_with_their_conversation_and_their_user(store: StoreUnderTest) -> None:
    conversation, kept = await store.start(), await store.start()
    draft = await write(store, await start(store, conversation), "a")
    other = await write(store, await start(store, kept), "b")

    await store.conversations.delete(ALICE, conversation.id)

    assert isinstance(await error_of(get(store, draft)), DraftNotFoundError)
    assert isinstance(await error_of(write(store, draft, "b")), DraftNotFoundError)
    assert await end(store, draft, "text") is None
    assert await end(store, draft, "text", place=After(None)) is None
    assert texts_in(await chunks_of(store, other)) == ["b"]
    await store.users.erase(ALICE)
    assert isinstance(await error_of(get(store, other)), DraftNotFoundError)


async def test_overdue_drafts_are_found(store: StoreUnderTest) -> None:
    lease = await start(store, await store.start(), lease=10)
    age = await start(store, await store.start(), lease=600, ends_by=NOON + 20 * SECOND)
    his = await start(store, await store.start(user_id=BOB), lease=30)
    ended = await start(store, await store.start(), lease=10)
    await end(store, ended)

    async def found(seconds: float) -> set[DraftId]:
        at = NOON + timedelta(seconds=seconds)
        return {each.id for each in await store.drafts.overdue(at, limit=10)}

    assert await found(9.9) == set()
    assert await found(10) == {lease.id}
    assert await found(20) == {lease.id, age.id}
    assert await found(30) == {lease.id, age.id, his.id}
    assert len(await store.drafts.overdue(NOON + HOUR, limit=2)) == 2
    await write(store, lease, "a", at=NOON + 15 * SECOND)
    assert await found(20) == {age.id}


async def test_ended_drafts_are_forgotten(store: StoreUnderTest) -> None:
    conversation = await store.start()
    old = await write(store, await start(store, conversation), "a")
    ended = await end(store, old, "a", at=NOON)
    later = await start(store, conversation)
    await end(store, later, at=NOON + HOUR)
    active = await start(store, conversation)

    assert await store.drafts.forget(NOON + SECOND, limit=10) == 1
    assert await store.drafts.forget(NOON + SECOND, limit=10) == 0

    assert ended is not None
    assert isinstance(await error_of(get(store, old)), DraftNotFoundError)
    assert await chunks_of(store, old) == []
    found = await store.drafts.latest(ALICE, conversation.id, limit=9)
    assert [each.id for each in found] == [active.id, later.id]
    assert contents(await store.history(conversation)) == ["a"]


async def test_a_start_forgets_a_few_drafts_of_its_user(store: StoreUnderTest) -> None:
    conversation, his = await store.start(), await store.start(user_id=BOB)
    for each in [conversation] * 15 + [his]:
        await end(store, await start(store, each), at=NOON)

    await store.drafts.start(new_draft(await store.start()), forget_before=NOON + SECOND)

    left = len(await store.drafts.latest(ALICE, conversation.id, limit=99))
    assert 0 < left < 15
    assert len(await store.drafts.latest(BOB, his.id, limit=99)) == 1


async def test_a_message_for_a_draft_may_have_any_role(store: StoreUnderTest) -> None:
    conversation = await store.start()
    draft = await start(store, conversation)
    message = NewMessage(Role.TOOL, "found", tool_call_id="a", id=draft.message_id)

    ended = await store.drafts.end(draft, FINISHED, NOON, message, place=None)

    assert ended is not None
    assert await store.history(conversation) == [ended.message]
