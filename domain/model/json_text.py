"""JSON documents that are kept as text."""

import json
from decimal import Decimal
from typing import Final, NewType

JsonText = NewType("JsonText", str)
"""A JSON document kept as text, since the service does not need to decode it.

It is well-formed, has no unpaired surrogates, and escapes only characters that must be escaped: the
code that creates one from input ensures that.
Equal documents may differ as text (spaces, order of keys): compare them with `same_json`.
"""

OriginalText = NewType("OriginalText", str)
"""The document that a client sent for a message: JSON, kept exactly as it was written.

Other than `JsonText` it is never rewritten: spaces, escapes, the order of keys and repeated keys
stay. It has no unpaired surrogates, and nests at most 500 levels.
"""

EMPTY_OBJECT: Final = JsonText("{}")


def same_json(one: JsonText | None, other: JsonText | None) -> bool:
    """Return whether two documents are equal as JSON."""
    if one is None or other is None:
        return one is other
    return one == other or _are_same(_exactly(one), _exactly(other))


def _are_same(one: object, other: object) -> bool:
    """Return whether two decoded documents are equal. To Python, true equals 1."""
    if one != other:
        return False
    pairs = [(one, other)]
    while pairs:
        one, other = pairs.pop()
        if isinstance(one, bool) or isinstance(other, bool):
            if one is not other:
                return False
        elif isinstance(one, dict) and isinstance(other, dict):
            pairs += [(value, other[key]) for key, value in one.items()]
        elif isinstance(one, list) and isinstance(other, list):
            pairs += zip(one, other, strict=True)
    return True


def _exactly(document: JsonText) -> object:
    """Decode with exact numbers: as floats, different numbers could be equal."""
    try:
        return json.loads(document, parse_float=Decimal)
    except ValueError:  # `int()` refuses very long numbers; decimals take ten times as long
        return json.loads(document, parse_int=Decimal, parse_float=Decimal)
