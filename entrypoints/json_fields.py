"""JSON from outside -> the JSON texts of the domain, checked."""

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.model import EMPTY_OBJECT, JsonText, Limits

MAX_DEPTH: Final = 500
"""Deeper down it would depend on what is left of the stack whether documents can be compared."""

_encode = msgspec.json.Encoder().encode
# What each kind of call holds: the member of the kind's name, and that member's text members.
_CALLS = {"function": ("name", "arguments"), "custom": ("name", "input")}
_NO_LIMITS: Final = Limits(max_metadata_bytes=0, max_message_chars=0)
_EXPONENT: Final = re.compile(r"\de[-+]?\d")
# A number is tried at its first digit only: at each of them, long ones would take quadratic time.
_STRING_OR_EXPONENTIAL: Final = re.compile(
    r'"[^"\\]*(?:\\.[^"\\]*)*"|(?<![\d.])\d+(?:\.\d+)?e[-+]?\d+'
)


def json_text(
    value: object, *, field: str, check_size: Callable[[int], None] = lambda _chars: None
) -> JsonText:
    """Return any decoded JSON as a text: compact, and with every character as itself.

    Numbers are written out, as Postgres does, so that a limit counts what will be read again: else
    five bytes become 309. `check_size` is told before how many characters that makes, and may
    raise. Raises `InvalidValueError` for a document nested deeper than `MAX_DEPTH`.
    """
    try:
        text = _encode(value).decode()
    except RecursionError:
        raise _too_deep(field) from None
    if text.count("[") + text.count("{") > MAX_DEPTH and _is_deeper(value, MAX_DEPTH):
        raise _too_deep(field)
    if _EXPONENT.search(text):
        tokens = _STRING_OR_EXPONENTIAL.finditer(text)
        check_size(len(text) + sum(map(_growth, tokens)))
        text = _STRING_OR_EXPONENTIAL.sub(_written_out, text)
    return JsonText(text)


def metadata_text(
    metadata: Mapping[str, Any] | None, *, field: str = "metadata", limits: Limits = _NO_LIMITS
) -> JsonText:
    """Return metadata as a text. Its size is checked only where it would grow beyond `limits`."""
    if not metadata:
        return EMPTY_OBJECT

    def check_size(chars: int) -> None:
        limits.check("max_metadata_bytes", chars, field=field, unit="bytes")

    return json_text(metadata, field=field, check_size=check_size)


def tool_calls_text(
    calls: Sequence[Mapping[str, Any]] | None, *, field: str, limits: Limits = _NO_LIMITS
) -> JsonText | None:
    """Return tool calls as they were given, further members and all.

    They have the shape of OpenAI's chat API: an `id`, a `type` of `function` or `custom`, and a
    member of that name. Raises `InvalidValueError` for others, since no model would take them back.
    Their size is checked only where it would grow beyond `limits`.
    """
    if calls is None:
        return None
    for index, call in enumerate(calls):
        _check_call(call, f"{field}[{index}]")

    def check_size(chars: int) -> None:
        limits.check("max_message_chars", chars, field=field, unit="characters")

    return json_text(calls, field=field, check_size=check_size)


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


def _too_deep(field: str) -> InvalidValueError:
    return InvalidValueError(field, f"is nested more than {MAX_DEPTH} deep")


def _is_deeper(value: object, depth: int) -> bool:
    level = [value]
    for _ in range(depth):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return any(isinstance(each, dict | list) for each in level)


def _growth(token: re.Match[str]) -> int:
    """Return by how many characters a token grows when it is written out."""
    if token[0].startswith('"'):
        return 0
    mantissa, _, exponent = token[0].partition("e")
    digits = len(mantissa) - ("." in mantissa)
    power = int(exponent)
    # Zeros and `.0` behind it, or `0.` and zeros before it; digits on both sides of the point do
    # not come with an exponent.
    written = power + 1 + len(".0") if power > 0 else len("0.") - power - 1 + digits
    return written - len(token[0])


def _written_out(token: re.Match[str]) -> str:
    if token[0].startswith('"'):
        return token[0]
    number = format(Decimal(token[0]), "f")
    return number if "." in number else f"{number}.0"  # or else it would be read as an integer


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)
