"""What is done with much of one kind takes as many times as long as there is more of it."""

import json
from collections.abc import Callable
from time import thread_time

import pytest

from chatkeep.domain.context import Context
from chatkeep.domain.errors import ItemIdTakenError
from chatkeep.domain.formats import (
    anthropic_context,
    chatgpt,
    claude_ai,
    openai_chat,
    sharegpt,
)
from chatkeep.domain.items import ItemId, ItemText
from chatkeep.domain.log import NewEntry, item_ids_given
from chatkeep.domain.model import JsonText, Role, same_json
from tests.support.service_process import FULL
from tests.unit.histories import said
from tests.unit.test_chatgpt import node, tree

FEW, MANY = (500, 4_000) if FULL else (200, 1_600)


def seconds(work: Callable[[], object]) -> float:
    taken = []
    for _ in range(3):
        began = thread_time()
        work()
        taken.append(thread_time() - began)
    return min(taken)


def check_linear(work: Callable[[int], Callable[[], object]]) -> None:
    assert seconds(work(MANY)) < 3 * MANY / FEW * seconds(work(FEW))


def test_calls_whose_ids_anthropic_refuses() -> None:
    def work(count: int) -> Callable[[], object]:
        calls = [
            {"id": f"no id {n}", "type": "function", "function": {"name": "f", "arguments": "{}"}}
            for n in range(count)
        ]
        asked = said(Role.ASSISTANT, "a")._replace(tool_calls=JsonText(json.dumps(calls)))
        context = Context((said(Role.USER, "a"), asked), truncated=False)
        return lambda: anthropic_context.write_context(context, json.loads)

    check_linear(work)


def test_calls_and_their_results_in_files_of_others() -> None:
    """Many calls at once with as many results, which do not name their calls."""
    functions = {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}}
    parts = {
        openai_chat.read: ("messages", functions, {"role": "function", "name": "f", "content": ""}),
        sharegpt.read: (
            "conversations",
            {"from": "function_call", "value": "f"},
            {"from": "observation", "value": "found"},
        ),
    }
    for read, (name, call, result) in parts.items():

        def work(
            count: int,
            read: Callable[[object], object] = read,
            each: tuple[str, object, object] = (name, call, result),
        ) -> Callable[[], object]:
            document = {each[0]: [each[1]] * count + [each[2]] * count}
            return lambda: read(document)

        check_linear(work)


def test_branches_of_chatgpt() -> None:
    def work(count: int) -> Callable[[], object]:
        nodes = [node("q0", "root", "user", "x")]
        nodes += [node(f"q{n}", f"q{n - 1}", "user", "x") for n in range(1, count)]
        nodes += [node(f"b{n}", f"q{n}", "tool", "y", tool="f") for n in range(count)]
        nodes += [node(f"s{n}", "q0", "assistant", "z") for n in range(count)]
        document = tree(*nodes, current=f"q{count - 1}")
        return lambda: chatgpt.read(document)

    check_linear(work)


def test_an_answer_of_claude_ai_with_many_blocks() -> None:
    def work(count: int) -> Callable[[], object]:
        blocks: list[object] = [{"type": "tool_use", "name": "f", "input": {}}] * count
        blocks += [{"type": "tool_result", "name": "f", "content": "x"}] * count
        blocks += [{"type": "text", "text": "x"}] * count
        document = {"chat_messages": [{"sender": "assistant", "content": blocks}]}
        return lambda: claude_ai.read(document)

    check_linear(work)


def test_messages_of_claude_ai() -> None:
    def work(count: int) -> Callable[[], object]:
        listed = [
            {"uuid": f"{n}", "sender": "human", "text": "x", "parent_message_uuid": f"{n - 1}"}
            for n in range(count)
        ]
        return lambda: claude_ai.read({"chat_messages": listed})

    check_linear(work)


def test_results_of_one_call_of_chatgpt() -> None:
    def work(count: int) -> Callable[[], object]:
        results = [node(f"r{n}", f"r{n - 1}", "tool", "x", tool="f") for n in range(1, count)]
        first = node("r0", "c", "tool", "x", tool="f")
        document = tree(node("c", "root", "assistant", "a", recipient="f"), first, *results)
        return lambda: chatgpt.read(document)

    check_linear(work)


def test_an_id_that_comes_twice() -> None:
    def work(count: int) -> Callable[[], object]:
        ids = [*(f"id {n}" for n in range(count)), "last", "last"]
        entries = [NewEntry(message=None, item=ItemText("{}"), item_id=ItemId(id_)) for id_ in ids]

        def refuse() -> None:
            with pytest.raises(ItemIdTakenError) as taken:
                item_ids_given(entries)
            assert taken.value.item_id == "last"

        return refuse

    check_linear(work)


def test_documents_with_numbers_of_any_length_are_compared() -> None:
    long = "1" * 6_000
    for one, other, same in (
        (long, long, True),
        (long, f"{long}.0", True),
        (long, f"{long[:-1]}2", False),
        ("1", "1.0", True),
        ("12345678901234567890", "12345678901234567891", False),
        ("0.1", "0.10", True),
        ("0.1", "0.10000000000000000001", False),
    ):
        assert same_json(JsonText(f'{{"a":{one}}}'), JsonText(f'{{"a": {other}}}')) is same
