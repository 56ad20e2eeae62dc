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
        if isinstance(content, list):
            _check_parts(content, role)
        else:
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


def _check_parts(parts: Sequence[dict[str, Any]], role: str) -> None:
    """Check the `content` of a message: a list of parts."""
    assert parts, "OpenAI refuses an empty list"
    taken = {"user": {"text", "image_url", "input_audio", "file"}, "assistant": {"text", "refusal"}}
    kinds = [part["type"] for part in parts]
    assert set(kinds) <= taken.get(role, {"text"})
    assert "refusal" not in kinds or kinds == ["refusal"], "texts, or exactly one refusal"
    for part in parts:
        match part:
            case (
                {"type": "text", "text": str()}
                | {"type": "refusal", "refusal": str()}
                | {"type": "image_url", "image_url": {"url": str()}}
                | {"type": "input_audio", "input_audio": {"data": str(), "format": str()}}
                | {"type": "file", "file": {"file_id": str()} | {"file_data": str()}}
            ):
                pass
            case _:
                raise AssertionError(part)


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
            content = block.get("content")
            if isinstance(content, list):
                assert content
                kinds = {inner["type"] for inner in content}
                assert kinds <= ({"text"} if "is_error" in block else {"text", "image", "document"})
                for inner in content:
                    _check_block(inner, role)
            else:
                assert content is None or content.strip(), "a blank text"
        case "image" | "document":
            assert role == "user"
            _check_source(block["type"], block["source"])
        case other:
            raise AssertionError(other)


def _check_source(kind: str, source: dict[str, Any]) -> None:
    images = {"image/jpeg", "image/png", "image/gif", "image/webp"}
    match source:
        case {"type": "base64", "media_type": media_type, "data": str(data)}:
            assert media_type in (images if kind == "image" else {"application/pdf"})
            assert re.fullmatch(
                r"(?:[A-Za-z0-9+/]{4})*[A-Za-z0-9+/]{2}(?:[A-Za-z0-9+/]{2}|[A-Za-z0-9+/]=|==)", data
            )
        case {"type": "url", "url": str(url)}:
            assert url.lower().startswith("https://")
        case {"type": "text", "media_type": "text/plain", "data": str(data)}:
            assert kind == "document"
            assert data.strip()
        case {"type": "file", "file_id": str()}:
            pass
        case _:
            raise AssertionError(source)
