"""Conversations that match a filter: every match once, in order, however little a call reads."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import pytest

from chatkeep.domain.finding import Filter, Found, LastSeen
from chatkeep.domain.model import Changes, Conversation, JsonText, Status
from chatkeep.domain.operations.selftest.builders import ALICE, BOB, HOUR, NOON, new_conversation
from chatkeep.domain.operations.selftest.store import MANY, StoreUnderTest
from chatkeep.domain.pages import NO_BOUND
from chatkeep.testing.builders import SECOND, ids

KB: Final = 1_000


@dataclass(frozen=True, slots=True)
class Bound:
    """How much one call reads and returns."""

    limit: int = MANY
    max_read: int = MANY
    max_bytes: int = NO_BOUND


async def find_pages(
    store: StoreUnderTest, wanted: Filter, bound: Bound | None = None
) -> list[Found]:
    """Read all that match of Alice's conversations; only the last page has no `next`."""
    within = bound or Bound()
    pages: list[Found] = []
    after: LastSeen | None = None
    while not pages or after is not None:
        page = await store.conversations.find(
            ALICE,
            wanted,
            after=after,
            limit=within.limit,
            max_read=within.max_read,
            max_bytes=within.max_bytes,
        )
        assert len(page.items) <= min(within.limit, within.max_read)
        pages.append(page)
        after = page.next
    return pages


async def find_all(
    store: StoreUnderTest, wanted: Filter, bound: Bound | None = None
) -> list[Conversation]:
    return [each for page in await find_pages(store, wanted, bound) for each in page.items]


async def start_with(
    store: StoreUnderTest, metadata: dict[str, Any], *, at: datetime = NOON
) -> Conversation:
    new = new_conversation(metadata=JsonText(json.dumps(metadata, ensure_ascii=False)), at=at)
    await store.create(new, (), provision=True)
    return await store.reload(new)


async def start_agents(store: StoreUnderTest, agents: str) -> list[Conversation]:
    """Store a conversation for each letter, latest first and two at a time; return them."""
    new = [
        await start_with(store, {"agent": agent}, at=NOON - (number // 2) * SECOND)
        for number, agent in enumerate(agents)
    ]
    return sorted(new, key=lambda each: (each.updated_at, each.id), reverse=True)


def has_agent(conversation: Conversation, agent: str) -> bool:
    return bool(json.loads(conversation.metadata)["agent"] == agent)


async def test_an_unknown_user_finds_nothing(store: StoreUnderTest) -> None:
    assert await find_all(store, Filter(metadata={"a": "b"})) == []


async def test_every_value_of_the_metadata_must_match(store: StoreUnderTest) -> None:
    both = await start_with(store, {"agent": "support", "language": "de", "more": [1]})
    one = await start_with(store, {"agent": "support", "language": "en"})
    await start_with(store, {"agent": "sales", "language": "de"})
    await start_with(store, {})

    assert set(ids(await find_all(store, Filter(metadata={"agent": "support"})))) == {
        both.id,
        one.id,
    }
    wanted = Filter(metadata={"agent": "support", "language": "de"})
    assert await find_all(store, wanted) == [both]
    assert await find_all(store, Filter(metadata={"agent": "support", "none": "de"})) == []


@pytest.mark.parametrize(
    ("stored", "text"),
    [
        ("support", "support"),
        ("", ""),
        ("null", "null"),
        ("true", "true"),
        ("7", "7"),
        ("a\0b \ufdd0 \ufdd00", "a\0b \ufdd0 \ufdd00"),
        ("e\u0301 \U0001f9f5 ' \" \\ %", "e\u0301 \U0001f9f5 ' \" \\ %"),
        ("\\u0000", "\\u0000"),
        (7, "7"),
        (7, "7.0"),
        (7.5, "7.50"),
        (-0.25, "-0.25"),
        (1000, "1e3"),
        (12345678901234567890123, "12345678901234567890123"),
        (True, "true"),
        (False, "false"),
        (None, "null"),
    ],
)
async def test_a_value_matches_the_text_and_the_scalar_written_like_it(
    store: StoreUnderTest, stored: object, text: str
) -> None:
    conversation = await start_with(store, {"key": stored})

    assert await find_all(store, Filter(metadata={"key": text})) == [conversation]


@pytest.mark.parametrize(
    ("stored", "text"),
    [
        ("support", "Support"),
        ("support", "suppor"),
        ("\u00e9", "e\u0301"),
        ("7", "7.0"),
        (7, "07"),
        (7, "7 "),
        (1, "true"),
        (True, "1"),
        (True, "True"),
        (0, "false"),
        (None, ""),
        (12345678901234567890123, "12345678901234567890124"),
        (["support"], "support"),
        (["support"], '["support"]'),
        ({"a": 1}, '{"a": 1}'),
        ("support", '"support"'),
        (7, "9" * 200),
        (7, "1e9999999"),
    ],
)
async def test_a_value_matches_nothing_else(
    store: StoreUnderTest, stored: object, text: str
) -> None:
    await start_with(store, {"key": stored})
    await start_with(store, {"other": text})

    assert await find_all(store, Filter(metadata={"key": text})) == []


@pytest.mark.parametrize("key", ["", "a.b", "a[b]", "{a,b}", "0", "a\0b", "\ufdd0", "\U0001f9f5'"])
async def test_a_key_is_taken_as_it_is(store: StoreUnderTest, key: str) -> None:
    conversation = await start_with(store, {key: "x"})
    await start_with(store, {"a": {"b": "x"}})

    assert await find_all(store, Filter(metadata={key: "x"})) == [conversation]


async def test_times_exclude_their_own_moment(store: StoreUnderTest) -> None:
    microsecond = SECOND / 1_000_000
    times = [NOON - HOUR, NOON - microsecond, NOON, NOON + microsecond, NOON + HOUR]
    earliest, before, noon, after, latest = [await store.start(at=at) for at in times]

    assert await find_all(store, Filter(updated_after=NOON)) == [latest, after]
    assert await find_all(store, Filter(updated_before=NOON)) == [before, earliest]
    between = Filter(updated_after=NOON - HOUR, updated_before=NOON + HOUR)
    assert await find_all(store, between) == [after, noon, before]
    assert await find_all(store, Filter(updated_after=NOON, updated_before=NOON)) == []


async def test_a_filter_follows_changes(store: StoreUnderTest) -> None:
    conversation = await start_with(store, {"agent": "a"})

    await store.conversations.change(
        ALICE, conversation.id, Changes(metadata=JsonText('{"agent":"b"}'))
    )
    await store.append(conversation, at=NOON + HOUR)

    assert await find_all(store, Filter(metadata={"agent": "a"})) == []
    [found] = await find_all(store, Filter(metadata={"agent": "b"}, updated_after=NOON))
    assert found == await store.reload(conversation)


@pytest.mark.parametrize("status", [None, *Status])
@pytest.mark.parametrize(
    "bound",
    [
        Bound(),
        Bound(limit=1),
        Bound(limit=2),
        Bound(limit=3, max_read=4),
        Bound(limit=4, max_read=3),
        Bound(limit=2, max_read=2),
        Bound(max_read=1),
        Bound(limit=1, max_read=12),
    ],
    ids=str,
)
async def test_pages_hold_every_match_once_whatever_a_call_reads(
    store: StoreUnderTest, bound: Bound, status: Status | None
) -> None:
    everything = await start_agents(store, "abbbabaabbba")
    for number, each in enumerate(everything):
        if number % 3 == 0:
            await store.conversations.change(ALICE, each.id, Changes(status=Status.ARCHIVED))
    everything = [await store.reload(each) for each in everything]
    expected = [
        each for each in everything[2:-2] if has_agent(each, "b") and status in (None, each.status)
    ]
    wanted = Filter(
        status=status,
        metadata={"agent": "b"},
        updated_after=everything[-1].updated_at,
        updated_before=everything[0].updated_at,
    )

    assert await find_all(store, wanted, bound) == expected


async def test_a_call_reads_no_further_than_its_bound(store: StoreUnderTest) -> None:
    everything = await start_agents(store, "bbbbbbbb" + "a")

    pages = await find_pages(store, Filter(metadata={"agent": "a"}), Bound(max_read=3))

    assert [len(page.items) for page in pages][:2] == [0, 0]
    assert pages[0].next == LastSeen(everything[2].updated_at, everything[2].id)
    assert [each for page in pages for each in page.items] == [everything[-1]]


async def test_a_page_goes_on_after_a_conversation_that_was_deleted(store: StoreUnderTest) -> None:
    everything = await start_agents(store, "abababab")
    wanted = Filter(metadata={"agent": "b"})
    page = await store.conversations.find(ALICE, wanted, after=None, limit=2, max_read=MANY)
    assert page.next is not None

    await store.conversations.delete(ALICE, page.next.id)

    rest = await store.conversations.find(ALICE, wanted, after=page.next, limit=9, max_read=MANY)
    matching = [each for each in everything if has_agent(each, "b")]
    assert [*page.items, *rest.items] == matching
    assert rest.next is None


async def test_a_page_is_bounded_in_bytes(store: StoreUnderTest) -> None:
    expected = []
    for number, size in enumerate((1, 1, 1, 1, 50, 1, 50)):
        metadata = {"agent": "a", "note": str(number).ljust(size * KB, "x")}
        expected.append(await start_with(store, metadata, at=NOON - number * HOUR))
        await start_with(store, {"agent": "b", "note": "x" * 50 * KB}, at=NOON - number * HOUR)

    bound = Bound(limit=4, max_bytes=5 * KB)
    pages = await find_pages(store, Filter(metadata={"agent": "a"}), bound)

    assert [each for page in pages for each in page.items] == expected
    assert [len(page.items) for page in pages] == [4, 1, 1, 1]


async def test_a_filter_finds_nothing_of_other_users(store: StoreUnderTest) -> None:
    mine = await start_with(store, {"agent": "a"})
    theirs = new_conversation(BOB, id=mine.id, metadata=JsonText('{"agent":"a"}'))
    await store.create(theirs, (), provision=True)
    await store.start(user_id=BOB)

    assert await find_all(store, Filter(metadata={"agent": "a"})) == [mine]
    assert await find_all(store, Filter(updated_after=NOON - HOUR)) == [mine]
