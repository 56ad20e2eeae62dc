"""Whatever a file has is in what is imported: in a field, or in the metadata."""

import json
from collections import Counter
from collections.abc import Iterator
from functools import partial
from itertools import count
from typing import Any

import pytest

from chatkeep.domain.formats.table import ORIGINALS, READERS, FileFormat, read_any
from chatkeep.entrypoints.formats.decoding import decode, find_originals
from chatkeep.entrypoints.formats.json_lines import JsonLines
from tests.unit.test_chatgpt import node, tree
from tests.unit.transfers import ALICE, StoreWithTransfer

USE = {"type": "tool_use", "id": "t1", "name": "find", "input": {"q": "x"}}
TEXT = {"type": "text", "text": "a text"}
THINKING = {"type": "thinking", "thinking": "hm", "signature": "s"}
IMAGE = {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}}
CALL = {"id": "c1", "type": "function", "function": {"name": "find", "arguments": "{}"}}
SEARCH = {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "x"}}
FOUND = {"type": "web_search_tool_result", "tool_use_id": "s1", "content": [{"url": "u"}]}
POINTER = {"content_type": "image_asset_pointer", "asset_pointer": "sediment://x"}
HEARD = {"content_type": "audio_transcription", "text": "heard", "direction": "in"}
THOUGHTS = {"content_type": "thoughts", "thoughts": [{"summary": "s", "content": "c"}]}
CODE = {"content_type": "code", "language": "python", "text": "1 + 1"}
OUTPUT = {"content_type": "execution_output", "text": "two"}
PAIRING = {"content_type": "app_pairing_content", "workspaces": [{"id": "w"}]}

FILES: dict[FileFormat, list[Any]] = {
    FileFormat.CHATGPT: [
        tree(
            node("s", "root", "system", "", metadata={"user_context_message_data": {"a": "b"}}),
            node("e", "s", "system", "", metadata={"note": "empty"}),
            node("q", "e", "user", {"content_type": "multimodal_text", "parts": [POINTER, "see"]}),
            node("h", "q", "user", {"content_type": "multimodal_text", "parts": [HEARD]}),
            node("o", "h", "assistant", "another answer"),
            node("t", "h", "assistant", THOUGHTS),
            node("c", "t", "assistant", CODE, recipient="python"),
            node("r", "c", "tool", OUTPUT, tool="python"),
            node("r2", "r", "tool", {**OUTPUT, "text": "more"}, tool="python"),
            node("p", "r2", "assistant", PAIRING),
            node("p2", "p", "user", PAIRING),
            node("a", "p2", "assistant", "an answer", tool="GPT"),
            node("t2", "a", "assistant", THOUGHTS),
            voice={"name": "x"},
            gizmo_id="g",
        )
    ],
    FileFormat.CLAUDE_AI: [
        {
            "uuid": "c",
            "name": "T",
            "summary": "S",
            "created_at": "2026-01-01T00:00:00Z",
            "account": {"uuid": "u"},
            "chat_messages": [
                {
                    "uuid": "q",
                    "sender": "human",
                    "text": "look at it",
                    "content": [{**TEXT, "text": "look at it"}],
                    "created_at": "2026-01-01T00:00:00Z",
                    "updated_at": "2026-01-02T00:00:00Z",
                    "attachments": [{"file_name": "a.txt", "extracted_content": "in a file"}],
                    "files": [{"file_uuid": "f", "file_name": "b.png"}],
                    "parent_message_uuid": "00000000-0000-4000-8000-000000000000",
                },
                {"uuid": "o", "sender": "assistant", "text": "old", "parent_message_uuid": "q"},
                {
                    "uuid": "a",
                    "sender": "assistant",
                    "text": "a digest",
                    "content": [
                        THINKING,
                        TEXT,
                        USE,
                        {
                            "type": "tool_result",
                            "tool_use_id": "t1",
                            "content": [{"type": "knowledge", "text": "known", "url": "w"}, IMAGE],
                            "is_error": True,
                        },
                        {"type": "flag", "flag": "a risk"},
                        {**TEXT, "citations": [{"url": "x"}]},
                        TEXT,
                    ],
                    "parent_message_uuid": "q",
                },
            ],
        }
    ],
    FileFormat.OPENAI: [
        {
            "model": "m",
            "tools": [{"type": "function", "function": {"name": "find"}}],
            "messages": [
                {"role": "system", "content": "S", "name": "n"},
                {"role": "user", "content": [TEXT, {"type": "file", "file": {"file_id": "f"}}]},
                {"role": "assistant", "content": None, "tool_calls": [CALL], "refusal": "no"},
                {"role": "tool", "tool_call_id": "c1", "content": [TEXT]},
                {"role": "assistant", "content": None, "audio": {"id": "a", "transcript": "t"}},
                {"role": "assistant", "content": "x", "weight": 0, "reasoning_content": "r"},
            ],
        }
    ],
    FileFormat.SHAREGPT: [
        {
            "id": "i",
            "title": "T",
            "system": "S",
            "tools": "[]",
            "conversations": [
                {"from": "human", "value": "q"},
                {"from": "function_call", "value": '{"name": "a", "arguments": {}, "id": "x"}'},
                {"from": "observation", "value": "found"},
                {"from": "bing", "value": "done"},
            ],
        }
    ],
    FileFormat.ANTHROPIC: [
        {
            "model": "m",
            "system": [{**TEXT, "cache_control": {"type": "ephemeral"}}],
            "messages": [
                {"role": "user", "content": [IMAGE, TEXT], "id": "msg"},
                {"role": "assistant", "content": [THINKING, TEXT, USE, SEARCH, FOUND, TEXT]},
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "tool_result",
                            "tool_use_id": "t1",
                            "content": [TEXT, IMAGE],
                            "is_error": True,
                        },
                        TEXT,
                    ],
                },
                {"role": "assistant", "content": "done"},
            ],
        }
    ],
}


def mark(value: Any, numbers: Iterator[int]) -> Any:  # noqa: ANN401 - any JSON
    """Return the value with a member in each object that no reader knows."""
    if isinstance(value, list):
        return [mark(each, numbers) for each in value]
    if not isinstance(value, dict):
        return value
    marked = {name: mark(each, numbers) for name, each in value.items()}
    # Every member of this object is the id of a node.
    return marked if "root" in value else {**marked, "of_tomorrow": f"mark {next(numbers)}."}


def texts(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            for each in value:
                yield from texts(each)
        case dict():
            for each in value.values():
                yield from texts(each)


@pytest.mark.parametrize(
    ("name", "document"), [(name, each) for name, found in FILES.items() for each in found]
)
def test_every_text_of_a_document_is_kept(name: FileFormat, document: object) -> None:
    marked = mark(document, count(1))
    line = read_any(decode(json.dumps(marked).encode()))
    assert line == READERS[name].read(marked)
    kept = [line.title, json.loads(line.metadata)]
    for message in line.messages:
        calls = json.loads(message.tool_calls or "[]")
        kept += [message.role, message.content, message.name, message.tool_call_id, calls]
        kept += [json.loads(message.metadata), json.loads(message.parts or "[]")]
    found = "\n".join(texts(kept))
    lost = {text for text in texts(marked) if text not in found}
    assert lost <= {
        # What a role, or the kind of a block or a call, says.
        *("tool_use", "tool_result", "human", "gpt", "all", "finished_successfully"),
        *("function_call", "observation", "text"),
        # What a place in the conversation says, and times.
        *("00000000-0000-4000-8000-000000000000", "2026-01-01T00:00:00Z"),
    }


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize(
    ("name", "document"), [(name, each) for name, found in FILES.items() for each in found]
)
def test_a_message_has_its_document_byte_for_byte(
    name: FileFormat, document: object, indent: int | None
) -> None:
    data = json.dumps(mark(document, count(1)), indent=indent).encode()
    line = read_any(decode(data), partial(find_originals, data))
    assert line == READERS[name].read(decode(data), partial(find_originals, data))

    given = find_originals(data, READERS[name].messages_in)
    found = [each.original for each in line.messages if each.original is not None]
    # A message of the format without an original is part of the document before it.
    assert line.messages[0].original is not None
    assert {each.format for each in line.messages} == {name}
    assert found
    assert max(Counter(found).values()) == 1
    assert set(found) <= set(given.values())
    assert all(each.encode() in data for each in found)

    without = read_any(decode(data))
    assert [each._replace(original=None, format=None) for each in line.messages] == [
        *without.messages
    ]
    assert line.canonical == without.canonical


def test_originals_are_the_very_texts() -> None:
    data = b' {"n": 1, "m" : [ {"a":1, "b" : "\\u00e9\\/"} ,[ ],"x"], "o":{ "k" :{"a": 1.10}}} '
    found = find_originals(data, "m")
    assert {place: text for place, text in found.items() if isinstance(place, int)} == {
        0: '{"a":1, "b" : "\\u00e9\\/"}',
        1: "[ ]",
        2: '"x"',
    }
    assert {name: text for name, text in found.items() if isinstance(name, str)} == {
        "n": "1",
        "o": '{ "k" :{"a": 1.10}}',
    }
    assert find_originals(data, "o") == {"k": '{"a": 1.10}'}
    assert find_originals(b' [{"a" : 1}]', "m") == {0: '{"a" : 1}'}
    assert find_originals(data, "n") == find_originals(data, "none") == {}


@pytest.mark.parametrize("name", [*ORIGINALS])
async def test_a_file_comes_back_in_its_own_format(name: FileFormat) -> None:
    for document in FILES[name]:
        data = json.dumps(mark(document, count(1)), indent=1, ensure_ascii=False).encode()
        store = StoreWithTransfer()
        line = read_any(decode(data), partial(find_originals, data))
        assert await store.transfer.import_conversation(ALICE, line)
        writer = JsonLines(ORIGINALS[name])
        out = b"".join([writer.write(piece) async for piece in store.transfer.export(ALICE)])
        assert writer.left_out() == ""

        given, written = json.loads(data), json.loads(out)
        assert out.count(b"\n") == 1
        assert written == given

        again = read_any(decode(out), partial(find_originals, out))
        assert (again.canonical, again.title) == (line.canonical, line.title)
        assert not await store.transfer.import_conversation(ALICE, again)


async def test_messages_of_other_formats_are_left_out_and_counted() -> None:
    store = StoreWithTransfer()
    await store.take({"messages": [{"role": "user", "content": "native"}]})
    writer = JsonLines(ORIGINALS[FileFormat.ANTHROPIC])
    assert not b"".join([writer.write(piece) async for piece in store.transfer.export(ALICE)])
    assert writer.left_out() == (
        "1 messages and items without an original of the format "
        "and 1 conversations without messages"
    )
