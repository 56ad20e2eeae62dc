"""ShareGPT's format: {"id", "conversations": [{"from", "value"}]}, of data sets and exports."""

from typing import Any, Final

import msgspec
from msgspec import Struct

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.model import Role
from chatkeep.domain.operations.transfer import GivenConversation
from chatkeep.entrypoints.formats.decoding import converted, decoded
from chatkeep.entrypoints.formats.jsonl import GivenLine, GivenMessage, conversation
from chatkeep.entrypoints.formats.merge_roles import call, known_as

KEY: Final = "sharegpt"
_CALL: Final = "function_call"
_ROLES: Final = {
    "human": Role.USER,
    "user": Role.USER,
    "gpt": Role.ASSISTANT,
    "assistant": Role.ASSISTANT,
    "chatgpt": Role.ASSISTANT,
    "bard": Role.ASSISTANT,
    "bing": Role.ASSISTANT,
    "model": Role.ASSISTANT,
    "system": Role.SYSTEM,
    _CALL: Role.ASSISTANT,
    "observation": Role.TOOL,
    "tool": Role.TOOL,
}


class _Turn(Struct):
    from_: str = msgspec.field(name="from")
    value: str


class _Called(Struct):
    name: str
    arguments: Any


_decoder: Final = msgspec.json.Decoder(dict[str, Any])
_called: Final = msgspec.json.Decoder(_Called)
_encode: Final = msgspec.json.Encoder().encode


def read(data: bytes) -> GivenConversation:
    """Return the conversation of an element. Raises `InvalidValueError` naming the field."""
    rest = decoded(_decoder, data)
    turns = converted(rest.pop("conversations", None), list[dict[str, Any]], field="conversations")
    given_id, title = rest.pop("id", None), rest.pop("title", None)
    messages: list[GivenMessage] = []
    if isinstance(rest.get("system"), str):
        instructions = rest.pop("system")
        if instructions:
            messages.append(GivenMessage(role=Role.SYSTEM, content=instructions))
    calls: list[tuple[str, str]] = []
    for index, turn in enumerate(turns):
        messages.append(_message(turn, index, calls))
    return conversation(
        GivenLine(
            source=None if given_id is None else f"{KEY}#{given_id}",
            title=title if isinstance(title, str) else None,
            metadata={KEY: rest} if rest else None,
            messages=messages,
        )
    )


def _message(turn: dict[str, Any], index: int, calls: list[tuple[str, str]]) -> GivenMessage:
    where = f"conversations[{index}]"
    said = converted(turn, _Turn, field=where)
    role = _ROLES.get(said.from_)
    if role is None:
        raise InvalidValueError(
            f"{where}.from", f"is {said.from_[:50]!r}, not one of {', '.join(_ROLES)}"
        )
    message = GivenMessage(role=role, content=said.value)
    rest = {key: value for key, value in turn.items() if key not in {"from", "value"}}
    if rest:
        message.metadata = {KEY: rest}
    if said.from_ == _CALL:
        message.content = None
        message.tool_calls = [_call(said.value, f"call_{index}", calls)]
    elif role is Role.TOOL:
        message.tool_call_id = known_as(calls, None) or f"call_{index}"
    return message


def _call(text: str, call_id: str, calls: list[tuple[str, str]]) -> dict[str, Any]:
    try:
        called = _called.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        calls.append((_CALL, call_id))
        return call(call_id, _CALL, text, is_json=False)
    calls.append((called.name, call_id))
    if isinstance(called.arguments, str):
        return call(call_id, called.name or _CALL, called.arguments, is_json=True)
    return call(call_id, called.name or _CALL, _encode(called.arguments).decode(), is_json=True)
