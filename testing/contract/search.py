"""Search: every match once, latest first, and nothing that is not stored now."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from chatkeep.domain.log import entries_of
from chatkeep.domain.model import (
    Changes,
    ConversationId,
    JsonText,
    Role,
    Status,
    UserId,
)
from chatkeep.domain.operations.selftest.builders import (
    ALICE,
    BOB,
    HOUR,
    NOON,
    new_conversation,
    new_item,
    new_message,
)
from chatkeep.domain.operations.selftest.store import StoreUnderTest
from chatkeep.domain.places import After
from chatkeep.domain.search import MAX_READ, Hit, Searched, SearchFound
from chatkeep.domain.search_index import keys_of
from chatkeep.domain.search_parser import parse_query
from chatkeep.domain.search_patterns import patterns_of
from chatkeep.domain.searched_text import MAX_SEARCHED_CHARS
from chatkeep.domain.terms import distinct_terms
from chatkeep.testing.builders import CALLS, SECOND, new_messages

MOST_CALLS: Final = 200


@dataclass(frozen=True, slots=True)
class Words:
    """A query for all words of `text`, in one role, status or conversation if that is given."""

    text: str = ""
    role: Role | None = None
    status: Status | None = None
    within: ConversationId | None = None
    only_titles: bool = False

    @property
    def clauses(self) -> Sequence[frozenset[str]]:
        return [frozenset({term}) for term in distinct_terms(self.text)]

    @property
    def title_clauses(self) -> Sequence[frozenset[str]]:
        return self.clauses

    @property
    def patterns(self) -> Sequence[str]:
        return patterns_of(parse_query(self.text).words)

    def matches(self, searched: Searched) -> bool:
        return (
            distinct_terms(self.text) <= distinct_terms(searched.text)
            and self.role in {None, searched.role}
            and self.status in {None, searched.status}
            and not (self.only_titles and not searched.is_title)
        )


@dataclass(frozen=True, slots=True)
class Either:
    """A query for one of the words of `text`."""

    text: str
    within: None = None
    only_titles: bool = False

    @property
    def clauses(self) -> Sequence[frozenset[str]]:
        return [frozenset(keys_of(distinct_terms(self.text)))]

    @property
    def title_clauses(self) -> Sequence[frozenset[str]]:
        return self.clauses

    @property
    def patterns(self) -> Sequence[str]:
        return ()

    def matches(self, searched: Searched) -> bool:
        return bool(distinct_terms(self.text) & distinct_terms(searched.text))


async def search_pages(  # noqa: PLR0913 - each is one independent part of the question
    store: StoreUnderTest,
    wanted: Words | Either,
    *,
    user_id: UserId = ALICE,
    limit: int = 100,
    grouped: bool = False,
    max_read: int = MAX_READ,
) -> list[SearchFound]:
    """Read all pages, once nothing is left to be indexed."""
    for _ in range(MOST_CALLS):
        found = await store.search.find(
            user_id, wanted, limit=limit, grouped=grouped, max_read=max_read
        )
        if not found.left.conversations:
            break
    pages = [found]
    while found.next is not None:
        assert len(pages) < MOST_CALLS
        found = await store.search.find(
            user_id, wanted, after=found.next, limit=limit, grouped=grouped, max_read=max_read
        )
        pages.append(found)
    assert all(len(page.hits) <= limit for page in pages)
    return pages


async def search_hits(
    store: StoreUnderTest, wanted: Words | Either | str, **how: object
) -> list[Hit]:
    if isinstance(wanted, str):
        wanted = Words(wanted)
    pages = await search_pages(store, wanted, **how)  # type: ignore[arg-type] # its own parameters
    hits = [hit for page in pages for hit in page.hits]
    assert sorted((hit.place for hit in hits), reverse=True) == [hit.place for hit in hits]
    return hits


async def search(store: StoreUnderTest, wanted: Words | Either | str, **how: object) -> list[str]:
    """Return the texts that are found, in order."""
    hits = await search_hits(store, wanted, **how)
    return [f"title: {hit.title}" if hit.place.is_title else hit.text for hit in hits]


async def test_an_unknown_user_finds_no_text(store: StoreUnderTest) -> None:
    assert await search(store, "anything") == []


async def test_messages_are_found_latest_first_in_all_conversations(store: StoreUnderTest) -> None:
    one = await store.start(*new_messages("red apple"))
    other = await store.start(*new_messages("green apple"), at=NOON + SECOND)
    await store.append(one, new_message("an Apple a day"), at=NOON + HOUR)
    await store.append(other, new_message("a pear"), at=NOON + HOUR)

    assert await search(store, "apple") == ["an Apple a day", "green apple", "red apple"]
    assert await search(store, "apple green") == ["green apple"]
    assert await search(store, "plum") == []


async def test_a_hit_says_what_it_is_and_where(store: StoreUnderTest) -> None:
    conversation = await store.start(*new_messages("one", "two"))
    [_, message] = await store.history(conversation)

    [hit] = await search_hits(store, "two")

    assert hit.conversation_id == conversation.id
    assert (hit.title, hit.branch) == (conversation.title, None)
    assert hit.message is not None
    assert hit.message.id == message.id
    assert hit.message.position == message.position == hit.place.position
    assert (hit.message.role, hit.message.created_at) == (message.role, message.created_at)


async def test_what_is_appended_after_a_search_is_found(store: StoreUnderTest) -> None:
    conversation = await store.start(*new_messages("apple 1"))
    assert len(await search(store, "apple")) == 1

    for number in range(2, 30):
        await store.append(conversation, new_message(f"apple {number}"))
        assert len(await search(store, "apple")) == number
    assert await search(store, "apple 17") == ["apple 17"]


async def test_an_edited_message_is_found_by_its_new_words_only(store: StoreUnderTest) -> None:
    conversation = await store.start(*new_messages(*(f"word{n} here" for n in range(40))))
    messages = await store.history(conversation)
    assert await search(store, "word7") == ["word7 here"]

    await store.put(conversation, new_message("other there", id=messages[7].id))

    assert await search(store, "word7") == []
    assert await search(store, "other") == ["other there"]
    await store.put(conversation, new_message("word7 again", id=messages[7].id))
    assert await search(store, "word7") == ["word7 again"]
    assert await search(store, "other") == []


async def test_deleted_messages_and_conversations_are_not_found(store: StoreUnderTest) -> None:
    conversation = await store.start(*new_messages("apple 0", "apple 1", "apple 2", "apple 3"))
    other = await store.start(*new_messages("apple 4"))
    messages = await store.history(conversation)
    assert len(await search(store, "apple")) == 5

    await store.log.delete(ALICE, conversation.id, messages[1].id)
    assert await search(store, "apple 1") == []
    await store.log.truncate(ALICE, conversation.id, messages[2].id, keep=True)
    assert await search(store, "apple 3") == []
    await store.append(conversation, new_message("apple 5"))
    assert set(await search(store, "apple")) == {"apple 0", "apple 2", "apple 4", "apple 5"}
    await store.conversations.delete(ALICE, other.id)
    assert set(await search(store, "apple")) == {"apple 0", "apple 2", "apple 5"}
    await store.users.erase(ALICE)
    assert await search(store, "apple") == []


async def test_no_user_finds_what_another_one_said(store: StoreUnderTest) -> None:
    await store.start(*new_messages("a secret"))
    await store.start(*new_messages("my own secret"), user_id=BOB)
    assert await search(store, "secret") == ["a secret"]

    assert await search(store, "secret", user_id=BOB) == ["my own secret"]
    assert await search(store, "secret", user_id=UserId("stranger")) == []


async def test_titles_are_found_as_they_are_now(store: StoreUnderTest) -> None:
    conversation = await store.start(*new_messages("hello"))
    await store.conversations.change(ALICE, conversation.id, Changes(title="Holiday plans"))

    [hit] = await search_hits(store, "plans holiday")

    assert (hit.message, hit.title, hit.place.is_title) == (None, "Holiday plans", True)
    await store.conversations.change(ALICE, conversation.id, Changes(title="Work"))
    assert await search(store, "holiday") == []
    assert await search(store, "work") == ["title: Work"]


async def test_a_title_is_placed_by_the_latest_activity(store: StoreUnderTest) -> None:
    for number, title in enumerate(["old apple", "new apple"]):
        conversation = await store.start(*new_messages("apple"), at=NOON + number * HOUR)
        await store.conversations.change(ALICE, conversation.id, Changes(title=title))

    found = ["title: new apple", "apple", "title: old apple", "apple"]
    for limit in (1, 2, 3, 100):
        assert await search(store, "apple", limit=limit) == found


async def test_pages_have_every_hit_once(store: StoreUnderTest) -> None:
    expected = []
    for number in range(30):
        conversation = await store.start(at=NOON + number % 3 * SECOND)
        texts = [f"apple {number}-{n}" for n in range(number % 4)]
        if texts:
            await store.append(conversation, *new_messages(*texts), at=NOON + number % 5 * SECOND)
        expected += texts

    found = await search(store, "apple")

    assert sorted(found) == sorted(expected)
    for limit in (1, 2, 7):
        assert await search(store, "apple", limit=limit) == found
    for max_read in (1, 3, 20):
        assert await search(store, "apple", limit=7, max_read=max_read) == found


async def test_grouped_hits_are_the_latest_of_each_conversation(store: StoreUnderTest) -> None:
    conversations = [await store.start() for _ in range(5)]
    for number in range(20):
        await store.append(
            conversations[number % 5], new_message(f"apple {number}"), at=NOON + number * SECOND
        )

    for limit in (1, 2, 4, 5, 100):
        found = await search(store, "apple", limit=limit, grouped=True)
        assert found == [f"apple {number}" for number in (19, 18, 17, 16, 15)]


async def test_a_search_can_be_within_one_conversation(store: StoreUnderTest) -> None:
    one = await store.start(*new_messages("apple 1"))
    other = await store.start(*new_messages("apple 2"))

    for conversation, text in ((one, "apple 1"), (other, "apple 2")):
        wanted = Words("apple", within=conversation.id)
        assert await search(store, wanted) == [text]
        assert await search(store, Words(within=conversation.id)) == [text]
    assert await search(store, Words("apple", within=ConversationId(UUID(int=1)))) == []


async def test_roles_and_states_are_those_of_now(store: StoreUnderTest) -> None:
    conversation = await store.start(
        new_message("apple?"), new_message("apple!", Role.ASSISTANT), new_message("pear")
    )

    assert await search(store, Words("apple", role=Role.ASSISTANT)) == ["apple!"]
    assert await search(store, Words(role=Role.USER)) == ["pear", "apple?"]
    assert await search(store, Words("apple", status=Status.ARCHIVED)) == []
    await store.conversations.change(ALICE, conversation.id, Changes(status=Status.ARCHIVED))
    assert len(await search(store, Words("apple", status=Status.ARCHIVED))) == 2
    assert await search(store, Words("apple", status=Status.ACTIVE)) == []


async def test_one_of_several_words_is_enough(store: StoreUnderTest) -> None:
    await store.start(*new_messages("apple", "pear", "plum", "中国語の勉強"))

    assert await search(store, Either("plum apple")) == ["plum", "apple"]
    assert await search(store, Either("中国")) == ["中国語の勉強"]


async def test_every_text_is_found_whatever_sent_it(store: StoreUnderTest) -> None:
    conversation = await store.start(
        new_message("parts apple")._replace(
            parts=JsonText('[{"type":"text","text":"parts apple"}]')
        ),
        new_message(None, Role.ASSISTANT, tool_calls=CALLS),
        new_message("nul \x00 apple"),
    )
    await store.append_items(conversation, new_item('{"role":"user","content":"item apple"}'))

    assert await search(store, "apple") == ["item apple", "nul \x00 apple", "parts apple"]


async def test_calls_of_tools_are_found_by_name_and_arguments(store: StoreUnderTest) -> None:
    calls = JsonText(
        '[{"id":"a","type":"function","function":{"name":"get_weather",'
        '"arguments":"{\\"city\\": \\"Z\\\\u00fcrich\\\\nNUL \\\\u0000 end\\"}"}},'
        '{"id":"b","type":"custom","custom":{"name":"run","input":"print(\\"a\\\\nb\\")"}}]'
    )
    conversation = await store.start(
        new_message(None, Role.ASSISTANT, tool_calls=calls),
        new_message("let me look", Role.ASSISTANT, tool_calls=calls),
    )
    await store.append_items(
        conversation,
        new_item(
            '{"type":"function_call","call_id":"c","name":"find_order",'
            '"arguments":"{\\"customer\\":\\"Miller\\"}"}'
        ),
        new_item('{"type":"function_call_output","call_id":"c","output":"Order 1043"}'),
    )

    called = 'get_weather {"city": "Zürich\nNUL \x00 end"}\nrun print("a\\nb")'
    for words in ("weather", "zurich", "nul", "end city", "print nb", "run"):
        assert await search(store, words) == [f"let me look\n{called}", called]
    assert await search(store, "look zürich") == [f"let me look\n{called}"]
    assert await search(store, "miller order") == ['find_order {"customer":"Miller"}']
    assert await search(store, "1043") == ["Order 1043"]
    assert await search(store, "function") == []


REASONING: Final = (
    '{"id":"rs_1","type":"reasoning","encrypted_content":"apple",'
    '"summary":[{"type":"summary_text","text":"Weighing apple \\u0026 pear"}]}'
)


async def test_items_that_are_not_messages_are_found_with_what_they_are(
    store: StoreUnderTest,
) -> None:
    conversation = await store.start(*new_messages("apple 1"))
    [said] = await store.history(conversation)
    assert await search(store, "apple") == ["apple 1"]
    await store.append_items(
        conversation,
        new_item(REASONING),
        new_item(
            '{"type":"mcp_call","name":"buy","arguments":"{\\"what\\":\\"Apfel\\\\u00e4\\"}"}'
        ),
    )
    await store.append(conversation, new_message("apple 2"))

    hits = await search_hits(store, "apple")

    assert [hit.text for hit in hits] == ["apple 2", "Weighing apple & pear", "apple 1"]
    hit = hits[1]
    assert hit.message is None
    assert hit.item is not None
    assert (hit.item.id, hit.item.kind) == ("rs_1", "reasoning")
    assert said.position < hit.item.position == hit.place.position < hits[0].place.position
    assert (hit.conversation_id, hit.title) == (conversation.id, conversation.title)
    assert await search(store, "apfelä buy") == ['buy\n{"what":"Apfelä"}']
    assert await search(store, Words("apple", role=Role.USER)) == ["apple 2", "apple 1"]
    assert await search(store, Words("apple", within=conversation.id)) == [
        "apple 2",
        "Weighing apple & pear",
        "apple 1",
    ]
    assert await search(store, "apple", grouped=True) == ["apple 2"]
    for max_read in (1, 2):
        assert len(await search(store, "apple", max_read=max_read, limit=2)) == 3


async def test_items_are_found_as_they_are_now(store: StoreUnderTest) -> None:
    conversation = await store.start()
    for number in range(12):
        item = f'{{"type":"reasoning","summary":[{{"text":"apple {number}"}}]}}'
        await store.append_items(conversation, new_item(item))
    await store.append_items(conversation, new_item('{"type":"unheard_of","apple":["plum", 1]}'))
    assert len(await search(store, "apple")) == 12
    assert await search(store, "plum") == ["plum"]
    [hit] = await search_hits(store, Words("apple 7"))
    fork = await store.log.fork(ALICE, conversation.id, new_conversation(ALICE, at=NOON))

    assert len(await search(store, "apple")) == 24
    await store.log.delete_at(ALICE, conversation.id, hit.place.position)
    assert await search(store, "apple 7") == ["apple 7"]
    assert await search(store, "apple 7", user_id=BOB) == []
    await store.conversations.delete(ALICE, fork.conversation.id)
    assert len(await search(store, "apple")) == 11


async def test_long_messages_are_searched_up_to_a_limit(store: StoreUnderTest) -> None:
    long = f"first {'word ' * (MAX_SEARCHED_CHARS // 5)} last"
    conversation = await store.start(new_message(long), *new_messages("a last one"))
    assert [len(text) for text in await search(store, "first")] == [MAX_SEARCHED_CHARS]

    assert await search(store, "last") == ["a last one"]
    [message, _] = await store.history(conversation)
    await store.put(conversation, new_message("short and last", id=message.id))
    assert await search(store, "last") == ["a last one", "short and last"]


async def test_branches_and_forks_are_searched(store: StoreUnderTest) -> None:
    conversation = await store.start(*new_messages("question", "answer one"))
    [question, _] = await store.history(conversation)
    await store.log.append(
        ALICE,
        conversation.id,
        entries_of([new_message("answer two")]),
        NOON,
        place=After(question.id),
    )

    hits = await search_hits(store, "answer")

    assert [hit.message.text for hit in hits if hit.message] == ["answer two", "answer one"]
    assert {hit.branch for hit in hits} == {1}
    await store.log.fork(ALICE, conversation.id, new_conversation(ALICE, at=NOON))
    assert len(await search(store, "answer")) == 3
