"""A file that an earlier version imported is recognized, though more of it is read today."""

import json
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid5

import pytest

from chatkeep.domain.formats import chatgpt
from chatkeep.domain.formats.codec import IMPORTS, Line
from chatkeep.domain.formats.table import read_any
from chatkeep.domain.model import MessageId
from chatkeep.domain.operations.transfer import ConversationGrownError
from chatkeep.entrypoints.formats.decoding import decode
from tests.unit.test_chatgpt import node, tree
from tests.unit.transfers import ALICE, StoreWithTransfer, encoded, read, says

CALLED = json.dumps({"name": "a", "arguments": {"x": 1}})
USE = {"type": "tool_use", "id": "t1", "name": "find", "input": {"q": "x"}}
TEXT = {"type": "text", "text": "a"}
CITED = {"type": "text", "text": "b", "citations": [{"cited_text": "c"}]}
RESULT = {"type": "tool_result", "tool_use_id": "t1", "content": [CITED, TEXT]}
SERVER_USE = {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}}

# For each document, what the first version made the id of.
DOCUMENTS: dict[str, tuple[Any, str]] = {
    "results of several calls of ShareGPT": (
        {
            "id": 7,
            "title": "T",
            "system": "S",
            "conversations": [
                {"from": "human", "value": "q"},
                {"from": "function_call", "value": CALLED},
                {"from": "function_call", "value": "not JSON"},
                {"from": "observation", "value": "1"},
                {"from": "observation", "value": "2", "score": 1},
                {"from": "bing", "value": "done"},
            ],
        },
        "59ba6ea2-d102-521b-9f67-94dbdd26ae8c",
    ),
    "several results of one call of ShareGPT": (
        {
            "conversations": [
                {"from": "human", "value": "q"},
                {"from": "function_call", "value": "f"},
                {"from": "observation", "value": "1"},
                {"from": "observation", "value": "2"},
            ]
        },
        "b57c2d7a-63b5-5edd-90cb-d63a077e2fd9",
    ),
    "a title of ShareGPT that is none": (
        {"title": 5, "conversations": [{"from": "tool", "value": "1"}]},
        "fe318817-2199-5e38-a5de-527f1a57c83d",
    ),
    "results of functions, and parts of several kinds": (
        {
            "messages": [
                {"role": "user", "content": ["a", "b"]},
                {"role": "assistant", "content": None, "refusal": "no"},
                {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}},
                {"role": "function", "name": "f", "content": "1"},
                {"role": "user", "content": [{"type": "refusal", "refusal": "r"}, TEXT]},
                {"role": "function", "name": "g", "content": "2"},
            ],
            "model": "m",
        },
        "b07c70b2-a0c1-56c4-ac45-c6994903d369",
    ),
    "blocks in any order": (
        {
            "system": [TEXT, CITED],
            "messages": [
                {"role": "user", "content": [{"type": "image", "source": {}}, TEXT]},
                {"role": "assistant", "content": [TEXT, USE, CITED]},
                {"role": "user", "content": [TEXT, RESULT]},
            ],
        },
        "818826af-6aa6-5a00-8561-9943f1c81687",
    ),
    "plain messages": (
        [{"role": "user", "content": "hello"}],
        "73ff7f83-8d07-5fa8-a379-0c8c473b9921",
    ),
    "a list of OpenAI's messages": (
        [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "u"}}, TEXT]}],
        "80900244-9885-5165-b168-7bdd42664b92",
    ),
    "tools of Anthropic's servers": (
        {"model": "m", "messages": [{"role": "assistant", "content": [SERVER_USE, TEXT, CITED]}]},
        "3fbee27f-81cc-5dc9-9201-d005918e8f55",
    ),
}


def taken_for(line: Line) -> set[str]:
    return {str(uuid5(IMPORTS, text)) for text in (line.canonical, line.formerly) if text}


@pytest.mark.parametrize("name", [*DOCUMENTS])
def test_what_the_first_version_imported_is_recognized(name: str) -> None:
    document, known = DOCUMENTS[name]
    assert known in taken_for(read_any(decode(json.dumps(document).encode())))


async def test_a_conversation_is_not_added_again_when_more_of_it_is_read() -> None:
    store = StoreWithTransfer()
    before = read(encoded({"messages": [says("a")]}))
    today = replace(read(encoded({"messages": [says("a and b")]})), formerly=before.canonical)
    assert await store.transfer.import_conversation(ALICE, before)
    assert not await store.transfer.import_conversation(ALICE, today)
    assert await store.transfer.import_conversation(ALICE, replace(today, formerly="another"))


async def test_messages_that_were_left_out_before_are_not_new_ones() -> None:
    store = StoreWithTransfer()
    ids = [UUID(int=n) for n in range(2)]
    messages = [says(str(n), id=str(each)) for n, each in enumerate(ids)]
    before, today = (
        replace(read(encoded({"messages": each})), canonical="x", may_grow=True)
        for each in (messages[1:], messages)
    )
    assert await store.transfer.import_conversation(ALICE, before)
    today = replace(today, formerly_left_out=frozenset({MessageId(ids[0])}))
    assert not await store.transfer.import_conversation(ALICE, today)


async def test_a_conversation_of_chatgpt_is_recognized_without_its_other_branches() -> None:
    question, answer = node("q", "root", "user", "hello"), node("a", "q", "assistant", "hi")
    other = node("other", "q", "assistant", "an earlier answer")
    today = chatgpt.read(tree(question, other, answer, current="a"))
    assert today.tree is not None

    store = StoreWithTransfer()
    before = chatgpt.read(tree(question, answer, current="a"))
    assert before.canonical == today.canonical
    assert await store.transfer.import_conversation(ALICE, before)
    assert not await store.transfer.import_conversation(ALICE, today)
    more = node("more", "a", "user", "and?")
    grown = chatgpt.read(tree(question, other, answer, more, current="more"))
    with pytest.raises(ConversationGrownError):
        await store.transfer.import_conversation(ALICE, grown)


async def test_branches_of_chatgpt_come_out_as_they_went_in() -> None:
    store = StoreWithTransfer()
    nodes = [
        node("q", "root", "user", "hello"),
        node("old", "q", "assistant", "old"),
        node("more", "old", "user", "and?"),
        node("new", "q", "assistant", "new"),
    ]
    line = chatgpt.read(tree(*nodes, current="new"))
    assert await store.transfer.import_conversation(ALICE, line)
    [exported] = await store.exported()
    assert [each.get("branch") for each in exported["messages"]] == [None, None, None, 1]
    assert exported["branch"] == 1
    assert [(each["parent"], each["left_after"]) for each in exported["branches"]] == [
        *((None, 0), (0, 1))
    ]
    assert read(encoded(exported)).tree == line.tree
    assert not await store.transfer.import_conversation(ALICE, line)
