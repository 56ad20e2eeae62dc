"""Converts tool calls of other formats, and finds the call that a result answers."""

import json
from collections.abc import Sequence
from math import isinf
from typing import Any, Final

from chatkeep.domain.formats.codec import Document
from chatkeep.domain.json_fields import encode, is_unicode


def make_call(call_id: str, name: str, argument: str, *, is_json: bool) -> Document:
    """Return a tool call: of a function if its argument is JSON, otherwise of a custom tool."""
    if is_json:
        function = {"name": name, "arguments": argument}
        return {"id": call_id, "type": "function", "function": function}
    return {"id": call_id, "type": "custom", "custom": {"name": name, "input": argument}}


def is_json_object(text: str) -> bool:
    """Return whether `parse_strictly` reads the text as a JSON object."""
    return isinstance(parse_strictly(text), dict)


def parse_strictly(text: str) -> Any:  # noqa: ANN401 - any JSON
    """Return the value of a text that every JSON parser accepts; None for any other.

    Besides texts that are not JSON, this refuses unpaired surrogates, NaN, numbers beyond the range
    of a double, and numbers with thousands of digits.
    """
    try:
        value = _strict.decode(text)
        if "\\u" in text and not is_unicode(encode(value)):
            return None
    except (ValueError, RecursionError):
        return None
    return value


def find_call(calls: Sequence[tuple[str, str]], name: str | None) -> str | None:
    """Return the id of the last call with that name, or of the last call, or None.

    `calls` are names and ids.
    """
    named = [call_id for called, call_id in calls if called == name]
    if named:
        return named[-1]
    return calls[-1][1] if calls else None


def _finite(number: str) -> float:
    value = float(number)
    if isinf(value):
        raise ValueError(number)
    return value


def _refuse(constant: str) -> object:
    raise ValueError(constant)


_strict: Final = json.JSONDecoder(parse_float=_finite, parse_constant=_refuse)
