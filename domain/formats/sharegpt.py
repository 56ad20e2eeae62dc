"""ShareGPT's format: {"id", "conversations": [{"from", "value"}]}, of data sets and exports.

Parts that a message has no field for are kept in the metadata under `sharegpt`.
"""

from typing import Any, Final

from chatkeep.domain.formats import chatkeep
from chatkeep.domain.formats.codec import (
    WHOLE,
    Document,
    Line,
    expect,
    get_required,
    objects,
    one_of,
    without,
)
from chatkeep.domain.formats.tool_calls import find_call, make_call, parse_strictly
from chatkeep.domain.json_fields import stable_json
from chatkeep.domain.model import Role

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

_Calls = list[tuple[str, str]]


def recognizes(document: object) -> bool:
    return isinstance(document, dict) and isinstance(document.get("conversations"), list)


def read(document: object) -> Line:
    """Return the conversation. Raises `InvalidValueError` naming the field."""
    given: Document = expect(document, WHOLE, dict)
    turns = objects(given, "conversations")
    rest = without(given, "conversations", "id", "title")
    given_id, title = given.get("id"), given.get("title")
    messages: list[Document] = []
    if isinstance(rest.get("system"), str):
        instructions = rest.pop("system")
        if instructions:
            messages.append({"role": Role.SYSTEM.value, "content": instructions})
    calls: _Calls = []
    for index, turn in enumerate(turns):
        messages.append(_message(turn, index, calls))
    return chatkeep.read(
        {
            "source": None if given_id is None else f"{KEY}#{given_id}",
            "title": title if isinstance(title, str) else None,
            "metadata": {KEY: rest} if rest else None,
            "messages": messages,
        }
    )


def _message(turn: Document, index: int, calls: _Calls) -> Document:
    where = f"conversations[{index}]"
    speaker: str = get_required(turn, "from", where, str)
    said: str = get_required(turn, "value", where, str)
    role = one_of(_ROLES, speaker, f"{where}.from")
    message: dict[str, Any] = {"role": role.value, "content": said}
    if rest := without(turn, "from", "value"):
        message["metadata"] = {KEY: rest}
    if speaker == _CALL:
        message["content"] = None
        message["tool_calls"] = [_call(said, f"call_{index}", calls)]
    elif role is Role.TOOL:
        message["tool_call_id"] = find_call(calls, None) or f"call_{index}"
    return message


def _call(text: str, call_id: str, calls: _Calls) -> Document:
    """Return the tool call in a text: JSON with a name and arguments, or any other text."""
    match parse_strictly(text):
        case {"name": str(name), "arguments": arguments}:
            calls.append((name, call_id))
            encoded = arguments if isinstance(arguments, str) else stable_json(arguments)
            return make_call(call_id, name or _CALL, encoded, is_json=True)
    calls.append((_CALL, call_id))
    return make_call(call_id, _CALL, text, is_json=False)
