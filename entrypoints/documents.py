"""JSON from outside -> the JSON texts of the domain, checked."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from domain.errors import InvalidValueError
from domain.model import EMPTY_OBJECT, JsonText

_encode = msgspec.json.Encoder().encode
# What each kind of call holds: the member of the kind's name, and that member's text members.
_CALLS = {"function": ("name", "arguments"), "custom": ("name", "input")}


def json_text(value: object) -> JsonText:
    """Return any decoded JSON as a text: compact, and with every character as itself."""
    return JsonText(_encode(value).decode())


def metadata_text(metadata: Mapping[str, Any] | None) -> JsonText:
    return json_text(metadata) if metadata else EMPTY_OBJECT


def tool_calls_text(calls: Sequence[Mapping[str, Any]] | None, *, field: str) -> JsonText | None:
    """Return tool calls as they were given, further members and all.

    They have the shape of OpenAI's chat API: an `id`, a `type` of `function` or `custom`, and a
    member of that name. Raises `InvalidValueError` for others, since no model would take them back.
    """
    if calls is None:
        return None
    for index, call in enumerate(calls):
        _check_call(call, f"{field}[{index}]")
    return json_text(calls)


def _check_call(call: Mapping[str, Any], field: str) -> None:
    if not _is_text(call.get("id")):
        raise InvalidValueError(f"{field}.id", "a tool call has an id, a text that is not empty")
    kind = call.get("type")
    if not isinstance(kind, str) or kind not in _CALLS:
        raise InvalidValueError(f"{field}.type", "a tool call is of type function or custom")
    called = call.get(kind)
    name, argument = _CALLS[kind]
    if not isinstance(called, Mapping) or not _is_text(called.get(name)):
        raise InvalidValueError(f"{field}.{kind}.{name}", "the called tool has a name")
    if not isinstance(called.get(argument), str):
        raise InvalidValueError(
            f"{field}.{kind}.{argument}", "is a text: JSON is handed over encoded, as models do"
        )


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)
