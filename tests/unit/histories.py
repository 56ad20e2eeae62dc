"""Conversations to try things on: made by hand, and any that hypothesis can think of."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import takewhile
from typing import Any, Final
from uuid import UUID

from hypothesis import strategies as st

from chatkeep.domain.model import (
    EMPTY_OBJECT,
    ConversationId,
    JsonText,
    Message,
    MessageId,
    Position,
    Role,
)
from chatkeep.domain.window import MAX_HEAD, Start, Window, latest_start

CONVERSATION: Final = ConversationId(UUID(int=1))
AT: Final = datetime(2026, 1, 1, tzinfo=UTC)

_TEXTS: Final = st.sampled_from(
    [None, "", " ", "\n\t", "Hello", "Hello", "Hi ", "Bye. \n", "a\x00b", "\x00", "🧵", "é" * 9]
) | st.text(max_size=12)
_CALL_IDS: Final = st.sampled_from(["a", "a", "b", "call_1", "no good", "ünique", "x" * 65, "a\n"])
_TOOL_NAMES: Final = st.sampled_from(["look_up", "get.weather", "ünd so", "n" * 200, "f\n"])
_ARGUMENTS: Final = st.sampled_from(
    [
        "{}",
        '{"city": "Kyiv", "days": 3}',
        "",
        "[1]",
        "7",
        "not json",
        '{"half": ',
        '{"text": "a\nb"}',
        '{"nul": "\\u0000", "astral": "🧵"}',
        '{"lone": "\\ud800"}',
        '{"big": 1e999, "digits": ' + "9" * 5_000 + "}",
        '{"n": NaN}',
        "[" * 5_000,
    ]
)
_NAMES: Final = st.none() | st.sampled_from(
    ["alice", "Zoë", "two words", "<a|b>", "", "x" * 65, "a\n"]
)
_FUNCTION_CALLS: Final = st.builds(
    lambda call_id, name, arguments: {
        "id": call_id,
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    },
    _CALL_IDS,
    _TOOL_NAMES,
    _ARGUMENTS,
)
_CUSTOM_CALLS: Final = st.builds(
    lambda call_id, name, text: {
        "id": call_id,
        "type": "custom",
        "custom": {"name": name, "input": text},
    },
    _CALL_IDS,
    _TOOL_NAMES,
    _ARGUMENTS,
)
_NO_CALLS: Final[st.SearchStrategy[object]] = st.sampled_from(
    [
        None,
        5,
        "a",
        [],
        {},
        {"id": "a"},
        {"id": 5, "type": "function", "function": {"name": "f", "arguments": "{}"}},
        {"type": "function", "function": {"name": "f", "arguments": "{}"}},
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": {"city": "Kyiv"}}},
        {"id": "a", "type": "function", "function": "f"},
        {"id": "a", "type": "custom", "function": {"name": "f", "arguments": "{}"}},
        {"id": "a", "function": {"name": "f", "arguments": "{}"}},
        {"id": "", "type": "function", "function": {"name": "f", "arguments": "{}"}},
        {"id": "a", "type": "function", "function": {"name": "", "arguments": "{}"}},
    ]
)
_CALLS: Final = st.lists(_FUNCTION_CALLS | _FUNCTION_CALLS | _CUSTOM_CALLS | _NO_CALLS, max_size=4)
_TOOL_CALLS: Final = st.builds(
    lambda document, indent: json.dumps(document, ensure_ascii=False, indent=indent),
    _CALLS | _CALLS | _NO_CALLS,
    st.sampled_from([None, 1]),
) | st.sampled_from(["[" * 5_000 + "]" * 5_000, f"[{'9' * 5_000}]", " [ ] "])


def said(
    role: Role,
    content: str | None,
    *,
    tool_calls: str | None = None,
    tool_call_id: str | None = None,
    name: str | None = None,
) -> Message:
    """Return a message that is first in its conversation: `conversation` moves it."""
    return Message(
        id=MessageId(UUID(int=1)),
        conversation_id=CONVERSATION,
        role=role,
        content=content,
        tool_calls=None if tool_calls is None else JsonText(tool_calls),
        tool_call_id=tool_call_id,
        name=name,
        metadata=EMPTY_OBJECT,
        created_at=AT,
        position=Position(1),
    )


def system(content: str | None) -> Message:
    return said(Role.SYSTEM, content)


def user(content: str | None) -> Message:
    return said(Role.USER, content)


def assistant(content: str | None, *call_ids: str, arguments: str = "{}") -> Message:
    """Return what the assistant said, with a call of the function `look_up` for each id."""
    calls = [
        {"id": i, "type": "function", "function": {"name": "look_up", "arguments": arguments}}
        for i in call_ids
    ]
    return said(Role.ASSISTANT, content, tool_calls=json.dumps(calls) if calls else None)


def tool(call_id: str, content: str | None) -> Message:
    return said(Role.TOOL, content, tool_call_id=call_id)


def conversation(*messages: Message) -> tuple[Message, ...]:
    """Return the messages in this order, with the ids and positions 1, 2, 3 and so on."""
    return tuple(
        message._replace(id=MessageId(UUID(int=place)), position=Position(place))
        for place, message in enumerate(messages, start=1)
    )


def opening(history: Sequence[Message]) -> tuple[Message, ...]:
    """Return the system and developer messages that open the conversation, at most `MAX_HEAD`."""
    opens = takewhile(lambda message: message.role in {"system", "developer"}, history)
    return tuple(opens)[:MAX_HEAD]


def window(history: Sequence[Message], limit: int) -> Window:
    """Return what a store gives of a conversation that has this history."""
    at, cut = latest_start(history), max(0, len(history) - limit)
    start = None if at is None else Start(history[at], at, is_apart=at + 1 < cut)
    return Window.of(
        opening(history),
        history[cut:],
        limit=limit,
        message_count=len(history),
        revision=0,
        start=start,
    )


def _plain(roles: st.SearchStrategy[Role]) -> st.SearchStrategy[list[Message]]:
    return st.builds(lambda role, text, name: [said(role, text, name=name)], roles, _TEXTS, _NAMES)


_RESULTS: Final = st.builds(
    lambda call_id, text: said(Role.TOOL, text, tool_call_id=call_id),
    st.sampled_from([None, ""]) | _CALL_IDS | _CALL_IDS | _CALL_IDS,
    _TEXTS,
)


@st.composite
def _exchanges(draw: st.DrawFn) -> list[Message]:
    """Draw an assistant's calls and their results, most of them with the right ids."""
    ids = draw(st.lists(_CALL_IDS, min_size=1, max_size=3))
    calls = [{**draw(_FUNCTION_CALLS | _CUSTOM_CALLS), "id": call_id} for call_id in ids]
    asks = said(Role.ASSISTANT, draw(_TEXTS), tool_calls=json.dumps(calls, ensure_ascii=False))
    answers = [tool(call_id, draw(_TEXTS)) for call_id in ids]
    strays = draw(st.lists(_RESULTS, max_size=1))
    return [asks, *draw(st.permutations(answers + strays))]


@st.composite
def _exchanges_in_parts(draw: st.DrawFn) -> list[Message]:
    """Draw the same, where each call is a message of its own."""
    asks, *answers = draw(_exchanges())
    calls = json.loads(asks.tool_calls or "[]")
    parts = [asks._replace(tool_calls=JsonText(json.dumps([call]))) for call in calls]
    silent = st.sampled_from([None, None, "", "And"])
    return [parts[0], *(part._replace(content=draw(silent)) for part in parts[1:]), *answers]


_ANYTHING: Final = (
    _plain(st.sampled_from([Role.USER, Role.ASSISTANT]))
    | _plain(st.sampled_from([Role.SYSTEM, Role.DEVELOPER, Role.USER, Role.ASSISTANT]))
    | _exchanges()
    | _exchanges()
    | _exchanges_in_parts()
    | st.builds(
        lambda role, text, calls: [said(role, text, tool_calls=calls)],
        st.sampled_from([*Role, *[Role.ASSISTANT] * 5]),
        _TEXTS,
        _TOOL_CALLS,
    )
    | _RESULTS.map(lambda result: [result])
)


@st.composite
def histories(draw: st.DrawFn) -> tuple[Message, ...]:
    """Draw any conversation, as it may have been written by hand: seldom over 40 messages."""
    head = draw(st.lists(_plain(st.sampled_from([Role.SYSTEM, Role.DEVELOPER])), max_size=3))
    if draw(st.integers(0, 9)) == 9:
        head *= 9
    first = draw(st.sampled_from([[], [user("Hello")]]))
    few = draw(st.integers(0, 10))
    rest = draw(st.lists(_ANYTHING, min_size=few, max_size=14))
    return conversation(*(message for part in [*head, first, *rest] for message in part))


limits: Final = st.integers(1, 45) | st.just(100)
max_chars: Final = st.sampled_from([None, None]) | st.integers(0, 60) | st.integers(0, 2_000)


def ids(messages: Sequence[Message]) -> list[int]:
    return [message.id.int for message in messages]


def well_formed(tool_calls: JsonText | None) -> list[dict[str, Any]]:
    try:
        document = json.loads(tool_calls or "null", parse_int=float)
    except RecursionError:
        return []
    calls = document if isinstance(document, list) else []
    return [call for call in calls if isinstance(call, dict) and is_well_formed(call)]


def is_well_formed(call: dict[str, Any]) -> bool:
    kind = call.get("type", "")
    tool = call.get(kind)
    payload = {"function": "arguments", "custom": "input"}.get(kind, "")
    return (
        isinstance(call.get("id"), str)
        and call["id"] != ""
        and isinstance(tool, dict)
        and isinstance(tool.get("name"), str)
        and tool["name"] != ""
        and isinstance(tool.get(payload), str)
    )


def is_same(one: Message, other: Message) -> bool:
    return one is other
