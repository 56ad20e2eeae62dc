"""What the two providers accept as messages, written down from their references as checks on JSON.

Each check raises `AssertionError` for what the provider answers with an error. It knows nothing of
how the messages were made. An empty list passes: the caller adds the next message before sending.

OpenAI: https://platform.openai.com/docs/api-reference/chat/create
Anthropic: https://docs.anthropic.com/en/api/messages
"""

import re
from collections.abc import Sequence
from typing import Any


def check_openai(messages: Sequence[dict[str, Any]]) -> None:
    """Check the `messages` of a request to OpenAI's chat API."""
    waiting: set[str] = set()
    for message in messages:
        role, content = message["role"], message["content"]
        assert role in {"system", "developer", "user", "assistant", "tool"}
        if "name" in message:
            assert re.fullmatch(r"[^\s<|\\/>]{1,64}", message["name"])
        if role == "tool":
            assert set(message) <= {"role", "content", "name", "tool_call_id"}
            assert message["tool_call_id"] in waiting, "a result without its call"
            waiting.remove(message["tool_call_id"])
        else:
            assert not waiting, "a call without its result"
            assert set(message) <= {"role", "content", "name"} | (
                {"tool_calls"} if role == "assistant" else set()
            )
            calls = message.get("tool_calls")
            if calls is not None:
                waiting = _openai_call_ids(calls)
        assert isinstance(content, str) or (content is None and "tool_calls" in message)
    assert not waiting, "a call without its result"


def check_anthropic(system: str | None, messages: Sequence[dict[str, Any]]) -> None:
    """Check the `system` and `messages` of a request to Anthropic's messages API."""
    assert system is None or system.strip()
    ids: list[str] = []
    asked: list[str] = []
    for index, message in enumerate(messages):
        assert set(message) == {"role", "content"}
        role, content = message["role"], message["content"]
        assert role == ("assistant" if index % 2 else "user"), "the turns alternate, the user first"
        if isinstance(content, str):
            content = [{"type": "text", "text": content}]
        assert content, "a turn without content"
        kinds = [block["type"] for block in content]
        for block in content:
            _check_block(block, role)
        results = [block["tool_use_id"] for block in content if block["type"] == "tool_result"]
        assert sorted(results) == sorted(asked), "each call is answered once, in the next turn"
        assert kinds[: len(results)] == ["tool_result"] * len(results), "results come first"
        asked = [block["id"] for block in content if block["type"] == "tool_use"]
        assert kinds[len(kinds) - len(asked) :] == ["tool_use"] * len(asked), "calls come last"
        ids += asked
        if index == len(messages) - 1 and role == "assistant":
            assert content[-1]["text"] == content[-1]["text"].rstrip()
    assert not asked, "a call without its result"
    assert len(ids) == len(set(ids)), "an id came twice"


def _openai_call_ids(calls: object) -> set[str]:
    assert isinstance(calls, list)
    assert calls, "OpenAI refuses an empty list"
    ids = set()
    for call in calls:
        assert isinstance(call["id"], str)
        assert call["id"]
        assert call["id"] not in ids
        ids.add(call["id"])
        payload = {"function": "arguments", "custom": "input"}[call["type"]]
        assert call[call["type"]]["name"]
        assert isinstance(call[call["type"]]["name"], str)
        assert isinstance(call[call["type"]][payload], str)
    return ids


def _check_block(block: dict[str, Any], role: str) -> None:
    match block["type"]:
        case "text":
            assert set(block) == {"type", "text"}
            assert block["text"].strip(), "a blank text"
        case "tool_use":
            assert role == "assistant"
            assert set(block) == {"type", "id", "name", "input"}
            assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", block["id"])
            assert re.fullmatch(r"[a-zA-Z0-9_-]{1,128}", block["name"])
            assert isinstance(block["input"], dict)
        case "tool_result":
            assert role == "user"
            assert set(block) <= {"type", "tool_use_id", "content", "is_error"}
            assert "content" in block or not block.get("is_error"), "an error without a text"
            assert block.get("content") is None or block["content"].strip(), "a blank text"
        case other:
            raise AssertionError(other)
