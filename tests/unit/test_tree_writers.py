"""Exports in the formats of ChatGPT's and Claude.ai's data exports: all branches, as trees."""

import copy
import json
import tracemalloc
from collections import Counter
from typing import Any
from uuid import UUID

import hypothesis
import pytest
from hypothesis import strategies as st

from chatkeep.domain.formats.codec import Piece
from chatkeep.domain.formats.table import READERS, TREES, FileFormat
from chatkeep.domain.json_fields import json_text
from chatkeep.domain.log import entries_of
from chatkeep.domain.model import (
    Changes,
    ConversationId,
    JsonText,
    Message,
    MessageId,
    NewMessage,
    OriginalText,
    Role,
    Status,
)
from chatkeep.domain.places import After
from chatkeep.entrypoints.formats.json_array import JsonArray
from tests.unit.every_field.places import DOCUMENTS, fill
from tests.unit.part_lists import as_parts
from tests.unit.test_chatgpt import node, tree
from tests.unit.test_claude_ai import conversation, message, result, text, use
from tests.unit.test_codecs import MESSAGES, SHOWN, entries
from tests.unit.test_codecs import conversation as talk
from tests.unit.test_nothing_lost import FILES
from tests.unit.transfers import ALICE, HOUR, NOW, StoreWithTransfer, imported, shown, trees

CHATGPT = FileFormat.CHATGPT
CLAUDE = FileFormat.CLAUDE_AI
BOTH = [CHATGPT, CLAUDE]
GIVEN: list[tuple[FileFormat, Any]] = [
    *((name, fill(make())[0]) for name in BOTH for make in DOCUMENTS[name]),
    *((name, each) for name in BOTH for each in FILES[name]),
    (CHATGPT, tree(node("q", "root", content="hello"), node("a", "q", "assistant", "hi"))),
    (CLAUDE, conversation(message("q", "human", text("hello")), summary=None)),
    (CLAUDE, conversation()),
    (CHATGPT, tree(node("q", "root", content=""))),
    (CHATGPT, tree(node("q", "nowhere", content="x") | {"children": ["nothing", "root"]})),
    (CHATGPT, {**tree(node("q", "root", content="x")), "current_node": None, "title": None}),
]


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize(("name", "document"), GIVEN)
async def test_an_export_gives_back_what_was_imported(
    name: FileFormat, document: dict[str, Any], indent: int | None
) -> None:
    store = StoreWithTransfer()
    assert await imported(store, document, indent=indent)
    written, left_out = await trees(store, name)
    assert written == [document]
    assert json.dumps(written[0], sort_keys=True) == json.dumps(document, sort_keys=True)
    assert left_out == ""

    elsewhere = StoreWithTransfer()
    assert await imported(elsewhere, written[0])
    assert await trees(elsewhere, name) == (written, "")
    assert not await imported(store, written[0])


def branched() -> dict[str, Any]:
    return tree(
        node("q", "root", content="hello") | {"children": ["a1", "a2", "a3"]},
        node("a1", "q", "assistant", "one") | {"children": ["b1"]},
        node("b1", "a1", content="more"),
        node("a2", "q", "assistant", "two"),
        node("a3", "q", "assistant", "three") | {"children": ["b3", "c3"]},
        node("b3", "a3", content="and"),
        node("c3", "a3", content="or"),
        current="b3",
    )


def chats() -> dict[str, Any]:
    q, a, b = (message(name, "human", text(name), said=name) for name in "qab")
    return conversation(
        q | {"parent_message_uuid": "00000000-0000-4000-8000-000000000000"},
        message("a1", "assistant", text("one"), use("t1"), result("t1", text("x")), text("y"))
        | {"parent_message_uuid": "q"},
        a | {"parent_message_uuid": "a1"},
        message("a2", "assistant", text("two")) | {"parent_message_uuid": "q"},
        b | {"parent_message_uuid": "a2", "created_at": "2026-03-30T12:00:00Z"},
        message("a3", "assistant", text("late")) | {"parent_message_uuid": "a1"},
    )


@pytest.mark.parametrize(("name", "document"), [(CHATGPT, branched()), (CLAUDE, chats())])
async def test_all_branches_come_back_in_their_order(
    name: FileFormat, document: dict[str, Any]
) -> None:
    store = StoreWithTransfer()
    assert await imported(store, document)
    assert await trees(store, name) == ([document], "")


async def only(store: StoreWithTransfer) -> ConversationId:
    [found] = (await store.conversations.list(ALICE, status=None, after=None, limit=2)).items
    return found.id


async def stored(store: StoreWithTransfer) -> dict[str | None, Message]:
    """Return the messages by their contents."""
    pieces = [piece async for piece in store.transfer.export(ALICE)]
    messages = [each.message for piece in pieces for each in piece.entries if each.message]
    return {each.content: each for each in messages}


async def say(
    store: StoreWithTransfer, *said: NewMessage, after: str | None = None, at: int = 0
) -> None:
    found = await stored(store)
    place = None if after is None else After(found[after].id)
    numbered = [
        each._replace(id=MessageId(UUID(int=len(found) + number)))
        for number, each in enumerate(said, start=1)
    ]
    entries = entries_of(numbered)
    await store.log.append(ALICE, await only(store), entries, NOW + at * HOUR, place=place)


async def delete(store: StoreWithTransfer, content: str) -> None:
    found = (await stored(store))[content]
    await store.log.delete(ALICE, await only(store), found.id)


def path_in(document: dict[str, Any]) -> list[str]:
    """Return the texts from the root to the current node; parents and children must agree."""
    nodes = document["mapping"]
    for name, each in nodes.items():
        for child in each["children"]:
            assert nodes[child]["parent"] == name
        if each["parent"] is not None:
            assert name in nodes[each["parent"]]["children"]
    texts: list[str] = []
    at = document["current_node"]
    while at is not None:
        said = nodes[at]["message"]
        if said is not None:
            content = said["content"]
            texts.insert(0, content["parts"][0] if "parts" in content else "hm")
        at = nodes[at]["parent"]
    return texts


def linear() -> dict[str, Any]:
    """Return a tree with a node between two messages that becomes none."""
    found = tree(
        node("q", "root", content="hello"),
        node("t", "q", "assistant", {"content_type": "thoughts", "thoughts": ["hm"]}),
        node("a", "t", "assistant", "hi"),
        node("b", "a", content="bye"),
    )
    for name, each in found["mapping"].items():
        if each["parent"] is not None:
            found["mapping"][each["parent"]]["children"].append(name)
    return found


async def test_what_was_said_here_since_continues_the_tree() -> None:
    store = StoreWithTransfer()
    document = linear()
    assert await imported(store, document)
    await say(store, NewMessage(role=Role.ASSISTANT, content="see you"))
    [written], left_out = await trees(store, CHATGPT)
    assert left_out == ""
    assert path_in(written) == ["hello", "hm", "hi", "bye", "see you"]
    assert written["update_time"] == NOW.timestamp()
    [new] = written["mapping"].keys() - document["mapping"].keys()
    assert written["current_node"] == new
    changed = copy.deepcopy(document["mapping"])
    changed["b"]["children"] = [new]
    assert {**changed, new: written["mapping"][new]} == written["mapping"]


async def test_branches_that_left_here_are_branches_of_the_tree() -> None:
    store = StoreWithTransfer()
    assert await imported(store, linear())
    await say(store, NewMessage(role=Role.ASSISTANT, content="hi again"), after="hello")
    await say(store, NewMessage(role=Role.USER, content="well"), at=1)
    await say(store, NewMessage(role=Role.USER, content="bye bye"), after="hi", at=2)
    await say(store, NewMessage(role=Role.USER, content="first"), after="bye", at=3)
    await say(store, NewMessage(role=Role.USER, content="other"), after="bye bye", at=4)
    [written], _ = await trees(store, CHATGPT)
    assert path_in(written) == ["hello", "hm", "hi", "bye bye", "other"]
    assert len(written["mapping"]) == len(linear()["mapping"]) + 5

    elsewhere = StoreWithTransfer()
    assert await imported(elsewhere, written)
    again, left_out = await trees(elsewhere, CHATGPT)
    assert again == [written]
    assert left_out == ""


@pytest.mark.parametrize("gone", ["hello", "hi", "bye"])
async def test_the_tree_closes_over_what_was_deleted(gone: str) -> None:
    store = StoreWithTransfer()
    assert await imported(store, linear())
    await say(store, NewMessage(role=Role.ASSISTANT, content="see you"))
    await delete(store, gone)
    [written], _ = await trees(store, CHATGPT)
    left = [each for each in ("hello", "hi", "bye", "see you") if each != gone]
    assert [each for each in path_in(written) if each != "hm"] == left


async def test_what_changed_here_is_not_what_it_was() -> None:
    store = StoreWithTransfer()
    assert await imported(store, linear())
    changes = Changes(title="New", status=Status.ARCHIVED)
    await store.conversations.change(ALICE, await only(store), changes)
    [written], _ = await trees(store, CHATGPT)
    assert written == {**linear(), "title": "New", "is_archived": True}


async def test_claude_gets_messages_of_here_behind_its_own() -> None:
    store = StoreWithTransfer()
    document = chats()
    assert await imported(store, document)
    await say(store, NewMessage(role=Role.USER, content="more"), after="two")
    [written], left_out = await trees(store, CLAUDE)
    assert left_out == ""
    assert written["chat_messages"][:-1] == document["chat_messages"]
    new = written["chat_messages"][-1]
    assert (new["parent_message_uuid"], new["sender"], new["text"]) == ("a2", "human", "more")
    assert written["current_leaf_message_uuid"] == new["uuid"]

    await delete(store, "b")
    await delete(store, "two")
    [written], _ = await trees(store, CLAUDE)
    assert written["chat_messages"][-1]["parent_message_uuid"] == "q"
    elsewhere = StoreWithTransfer()
    assert await imported(elsewhere, written)
    assert (await trees(elsewhere, CLAUDE))[0] == [written]


CALLS = JsonText(
    '[{"id":"c1","type":"function","function":{"name":"find","arguments":"{\\"q\\":1}"}},'
    '{"id":"c2","type":"custom","custom":{"name":"python","input":"1 + 1"}}]'
)
NATIVE = [
    NewMessage(role=Role.SYSTEM, content="Be kind."),
    NewMessage(role=Role.USER, content="hello"),
    NewMessage(role=Role.ASSISTANT, content="looking", tool_calls=CALLS),
    NewMessage(role=Role.TOOL, content="found", tool_call_id="c1"),
    NewMessage(role=Role.TOOL, content="2", tool_call_id="c2"),
    NewMessage(role=Role.ASSISTANT, content="there"),
]


async def native(*messages: NewMessage) -> StoreWithTransfer:
    """Return a store with a conversation of here."""
    store = StoreWithTransfer()
    await store.take({"title": "T", "messages": [], "id": str(UUID(int=7))})
    await say(store, *messages)
    return store


async def test_a_conversation_of_here_becomes_a_tree_of_chatgpt() -> None:
    store = await native(*NATIVE)
    await say(store, NewMessage(role=Role.ASSISTANT, content="else"), after="hello", at=1)
    [written], left_out = await trees(store, CHATGPT)
    assert left_out == ""
    assert path_in(written) == ["Be kind.", "hello", "else"]
    nodes = written["mapping"].values()
    assert [
        (each["message"]["author"]["role"], each["message"]["recipient"]) for each in nodes
    ] == [
        ("system", "all"),
        ("user", "all"),
        ("assistant", "all"),
        ("assistant", "find"),
        ("assistant", "python"),
        ("tool", "all"),
        ("tool", "all"),
        ("assistant", "all"),
        ("assistant", "all"),
    ]
    assert [each["message"]["author"]["name"] for each in nodes][5:7] == ["find", "python"]
    assert (written["title"], written["conversation_id"]) == ("T", str(UUID(int=7)))
    line = READERS[CHATGPT].read(written)
    assert [each.content for each in shown(line)] == ["Be kind.", "hello", "else"]
    called = {call["id"] for m in line.messages for call in json.loads(m.tool_calls or "[]")}
    assert {each.tool_call_id for each in line.messages if each.role is Role.TOOL} == called


async def test_a_conversation_of_here_becomes_one_of_claude() -> None:
    store = await native(*NATIVE)
    await say(store, NewMessage(role=Role.ASSISTANT, content="else"), after="hello", at=1)
    [written], left_out = await trees(store, CLAUDE)
    assert left_out == ""
    line = READERS[CLAUDE].read(written)
    assert [each.content for each in shown(line)] == ["Be kind.", "hello", "else"]
    assert [(each.role, each.content, each.tool_call_id) for each in line.messages] == [
        *((each.role, each.content, each.tool_call_id) for each in NATIVE),
        (Role.ASSISTANT, "else", None),
    ]
    [calls] = [each.tool_calls for each in line.messages if each.tool_calls]
    assert [call["id"] for call in json.loads(calls)] == ["c1", "c2"]
    assert line.title == "T"


@pytest.mark.parametrize("name", BOTH)
async def test_what_has_no_place_is_counted_and_named(name: FileFormat) -> None:
    image = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
    parts = [{"type": "text", "text": "see"}, image]
    store = await native(
        NewMessage(role=Role.USER, content="see", parts=as_parts(*parts)),
        NewMessage(role=Role.USER, content="x", name="Ann", metadata=JsonText('{"a":1}')),
        NewMessage(role=Role.USER, content="y", tokens=3, starts_context=True),
        NewMessage(role=Role.USER, content="z", format="own", original=OriginalText("1")),
    )
    changes = Changes(metadata=JsonText('{"b":1}'), retain=True)
    await store.conversations.change(ALICE, await only(store), changes)
    _, left_out = await trees(store, name)
    assert left_out == (
        "conversation: metadata (1), conversation: retain (1), metadata (1), name (1), "
        "original (1), part image_url (1), starts_context (1), tokens (1)"
    )


NAMES = st.sampled_from(["q", "a", "b", "", None])
ANYTHING = NAMES | st.integers() | st.lists(NAMES, max_size=2) | st.just({"a": {"id": 1}})
NODE: st.SearchStrategy[Any] = ANYTHING | st.fixed_dictionaries(
    {},
    optional={
        "id": NAMES,
        "parent": ANYTHING,
        "children": ANYTHING,
        "message": ANYTHING | st.just({}) | st.just({"content": {"content_type": "thoughts"}}),
        "parent_message_uuid": ANYTHING,
        "sender": NAMES,
    },
)
NODES = ANYTHING | st.dictionaries(st.sampled_from("qab"), NODE, max_size=3)
KEPT = ANYTHING | st.fixed_dictionaries(
    {},
    optional={
        "id": NAMES,
        "results": ANYTHING | st.lists(NODE, max_size=2),
        "thoughts": ANYTHING,
        "nodes": NODES,
        "messages": NODES,
        "conversation": ANYTHING,
        "export": ANYTHING
        | st.fixed_dictionaries(
            {},
            optional={"nodes": NODES, "thoughts": NODES, "strays": ANYTHING, "last": ANYTHING}
            | {"members": ANYTHING | st.just({"title": None, "name": 1})},
        ),
    },
)


@pytest.mark.parametrize("name", BOTH)
@hypothesis.given(said=st.lists(st.tuples(MESSAGES | SHOWN, KEPT, NODE), max_size=4), kept=KEPT)
def test_whatever_is_stored_can_be_written(
    name: FileFormat, said: list[tuple[dict[str, Any], object, object]], kept: object
) -> None:
    stored = entries(
        [
            {
                **each,
                "metadata": json_text({name.value: of_message}, field="metadata"),
                "format": name.value,
                "original": None if original is None else OriginalText(json.dumps(original)),
            }
            for each, of_message, original in said
        ]
    )
    metadata = json_text({name.value: kept}, field="metadata")
    given = talk()._replace(metadata=metadata)
    writer = JsonArray(TREES[name])
    out = writer.write(Piece(given, stored, is_first=True, is_last=True)) + writer.end()
    [written] = json.loads(out)
    assert TREES[name].documents_in in written


def peak_of(name: FileFormat, pages: int) -> int:
    """Return how many bytes a writer takes at most for a conversation of so many pages."""
    page = [{"role": Role.USER, "content": "x" * 1_000}] * 50
    writer = JsonArray(TREES[name])
    tracemalloc.start()
    try:
        for number in range(pages):
            said = entries(page)
            is_last = number == pages - 1
            writer.write(Piece(talk(), said, is_first=number == 0, is_last=is_last))
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", BOTH)
def test_writing_takes_the_memory_of_a_page(name: FileFormat) -> None:
    peak_of(name, 2)
    assert peak_of(name, 40) < 1.5 * peak_of(name, 4)


async def test_many_branches_of_one_message_take_linear_time() -> None:
    """A thousand answers to one question, each a child of it."""
    answers = [node(f"a{n}", "q", "assistant", f"answer {n}") for n in range(1_000)]
    question = node("q", "root", content="hello")
    question["children"] = [each["id"] for each in answers]
    document = tree(question, *answers)
    store = StoreWithTransfer()
    assert await imported(store, document)
    counted: Counter[str] = Counter()
    page = store.log.page

    async def counting(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - whatever it takes
        counted["pages"] += 1
        return await page(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patching:
        patching.setattr(type(store.log), "page", lambda _, *args, **more: counting(*args, **more))
        assert await trees(store, CHATGPT) == ([document], "")
    # The first message of each branch, and what is before it, which is the same for all of them.
    assert counted["pages"] < 1_020
