"""The rules for JSON fields (metadata, tool calls), whatever their source."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.json_values import measure_depth
from chatkeep.domain.model import EMPTY_OBJECT, JsonText, Limits, OriginalText

Encode = Callable[[object], str]
"""Writes a JSON value as compact text, every character as itself. Raises `RecursionError`."""

MAX_DEPTH: Final = 500
"""The maximum nesting depth of documents: comparing deeper ones might exhaust the stack."""

TOO_DEEP: Final = f"is nested more than {MAX_DEPTH} levels deep"
UNPAIRED_SURROGATE: Final = "contains an unpaired surrogate"

encode: Final[Encode] = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":")
).encode
_encode_sorted: Final[Encode] = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":"), sort_keys=True
).encode
# For each kind of call: the two texts in the member named after the kind.
_CALLS: Final = {"function": ("name", "arguments"), "custom": ("name", "input")}
_NO_LIMITS: Final = Limits(max_metadata_bytes=0, max_message_chars=0)
# The pattern begins with rare characters, which makes the search thirty times as fast.
_EXPONENT: Final = re.compile(r"e(?<=\de)[-+]?\d")
_LAST_WRITTEN_OUT: Final = -5
"""The power of ten below which Python writes an exponent, but msgspec does not."""

# A number is matched at its first digit only: trying each digit would take quadratic time.
_STRING_OR_EXPONENTIAL: Final = re.compile(
    r'"[^"\\]*(?:\\.[^"\\]*)*"|(?<![\d.])\d+(?:\.\d+)?e[-+]?\d+'
)


def is_unicode(text: str) -> bool:
    """Return False for a text with an unpaired surrogate: JSON can write one, UTF-8 cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_deeper(value: object, depth: int) -> bool:
    """Return whether a decoded JSON value nests lists and objects more than `depth` deep."""
    level = [value]
    for _ in range(depth):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return False
    return any(isinstance(each, dict | list) for each in level)


def check_original(text: str, *, field: str) -> OriginalText:
    """Return a well-formed JSON text as the original of a message.

    Raises `InvalidValueError` if it is nested deeper than `MAX_DEPTH`.
    """
    if text.count("[") + text.count("{") > MAX_DEPTH and measure_depth(text) > MAX_DEPTH:
        raise InvalidValueError(field, TOO_DEEP)
    return OriginalText(text)


def json_text(
    value: object,
    *,
    field: str,
    check_size: Callable[[int], None] = lambda _chars: None,
    encode: Encode = encode,
) -> JsonText:
    """Return a decoded JSON value as text: compact, with every character as itself.

    Numbers are written without exponents, as Postgres returns them, so that limits apply to the
    text that is read back: five bytes may become 309. `check_size` gets the resulting number of
    characters before that, and may raise. Raises `InvalidValueError` for a document nested deeper
    than `MAX_DEPTH`, and for one that JSON in UTF-8 cannot represent.
    """
    try:
        text = encode(value)
    except RecursionError:
        raise InvalidValueError(field, TOO_DEEP) from None
    except UnicodeEncodeError:
        raise InvalidValueError(field, UNPAIRED_SURROGATE) from None
    except ValueError:  # infinite, or with more digits than Python writes
        raise InvalidValueError(field, "contains a number that is out of range") from None
    if not text.isascii() and not is_unicode(text):
        raise InvalidValueError(field, UNPAIRED_SURROGATE)
    if text.count("[") + text.count("{") > MAX_DEPTH and is_deeper(value, MAX_DEPTH):
        raise InvalidValueError(field, TOO_DEEP)
    if _EXPONENT.search(text):
        tokens = _STRING_OR_EXPONENTIAL.finditer(text)
        check_size(len(text) + sum(map(_growth, tokens)))
        text = _STRING_OR_EXPONENTIAL.sub(_write_out, text)
    return JsonText(text)


def stable_json(value: object, *, sort_keys: bool = False) -> str:
    """Return a decoded JSON value as compact text that never changes between versions.

    Numbers are written like msgspec's: the ids of imported conversations are derived from such
    texts.
    """
    text = (_encode_sorted if sort_keys else encode)(value)
    if _EXPONENT.search(text):
        text = _STRING_OR_EXPONENTIAL.sub(_shorten_exponent, text)
    return text


def check_json(text: str) -> None:
    """Raise `ValueError` with the reason unless the text is JSON that UTF-8 can represent.

    Numbers may have any number of digits.
    """
    try:
        value = json.loads(text, parse_constant=_refuse, parse_int=str, parse_float=str)
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    # Only escapes, or the text itself, can contain one.
    if not is_unicode(text) or ("\\u" in text and not is_unicode(encode(value))):
        raise ValueError(UNPAIRED_SURROGATE)


def metadata_text(
    metadata: Mapping[str, Any] | None,
    *,
    field: str = "metadata",
    limits: Limits = _NO_LIMITS,
    encode: Encode = encode,
) -> JsonText:
    """Return metadata as text. The size is checked only if writing out numbers makes it grow."""
    if not metadata:
        return EMPTY_OBJECT

    def check_size(chars: int) -> None:
        limits.check("max_metadata_bytes", chars, field=field, unit="bytes")

    return json_text(metadata, field=field, check_size=check_size, encode=encode)


def tool_calls_text(
    calls: Sequence[Mapping[str, Any]] | None,
    *,
    field: str,
    limits: Limits = _NO_LIMITS,
    encode: Encode = encode,
) -> JsonText | None:
    """Return tool calls as text, with all their members.

    The size is checked only if writing out numbers makes it grow. Raises `InvalidValueError` for
    a call that breaks the rules of `check_call`.
    """
    if calls is None:
        return None
    for index, call in enumerate(calls):
        check_call(call, f"{field}[{index}]")

    def check_size(chars: int) -> None:
        limits.check("max_message_chars", chars, field=field, unit="characters")

    return json_text(calls, field=field, check_size=check_size, encode=encode)


def check_call(call: object, field: str) -> None:
    """Raise `InvalidValueError` unless `call` is a tool call of OpenAI's chat API.

    It has an `id`, a `type` of `function` or `custom`, and a member with that name. Model providers
    refuse anything else.
    """
    if not isinstance(call, Mapping) or not _is_filled(call.get("id")):
        raise InvalidValueError(f"{field}.id", "must be a string that is not empty")
    kind = call.get("type")
    if not isinstance(kind, str) or kind not in _CALLS:
        raise InvalidValueError(f"{field}.type", "must be function or custom")
    called = call.get(kind)
    name, argument = _CALLS[kind]
    if not isinstance(called, Mapping) or not _is_filled(called.get(name)):
        raise InvalidValueError(f"{field}.{kind}.{name}", "must be a string that is not empty")
    if not isinstance(called.get(argument), str):
        raise InvalidValueError(
            f"{field}.{kind}.{argument}", "must be a string, with JSON encoded in it as models do"
        )


def _growth(token: re.Match[str]) -> int:
    """Return the number of characters that a token grows by when it is written out."""
    if token[0].startswith('"'):
        return 0
    mantissa, _, exponent = token[0].partition("e")
    digits = len(mantissa) - ("." in mantissa)
    power = int(exponent)
    # Either zeros and `.0` follow, or `0.` and zeros precede: a number with digits on both sides of
    # its point is not written with an exponent.
    written = power + 1 + len(".0") if power > 0 else len("0.") - power - 1 + digits
    return written - len(token[0])


def _write_out(token: re.Match[str]) -> str:
    if token[0].startswith('"'):
        return token[0]
    number = format(Decimal(token[0]), "f")
    return number if "." in number else f"{number}.0"  # otherwise it would be read as an integer


def _shorten_exponent(token: re.Match[str]) -> str:
    if token[0].startswith('"'):
        return token[0]
    mantissa, _, exponent = token[0].partition("e")
    power = int(exponent)
    if power == _LAST_WRITTEN_OUT:
        return f"0.0000{mantissa.replace('.', '')}"
    return f"{mantissa}e{power}"


def _refuse(constant: str) -> object:
    raise ValueError(f"contains {constant}, which is not JSON")


def _is_filled(value: object) -> bool:
    return isinstance(value, str) and bool(value)
