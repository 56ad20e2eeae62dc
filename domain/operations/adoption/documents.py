"""The JSON of hand-made tables, in columns of JSON or of text, as the documents that we keep."""

import json
import re
from collections.abc import Mapping, Sequence
from decimal import MAX_PREC, Context, Decimal
from typing import Final

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.model import EMPTY_OBJECT, JsonText

OLD_METADATA: Final = "old_metadata"
OLD_TOOL_CALLS: Final = "old_tool_calls"
OLD_COLUMNS: Final = "old_columns"
MAX_DEPTH: Final = 500
"""As deep as documents may be nested that come in over HTTP."""

_STRING: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"')
_MAX_DIGITS: Final = 10_000
_CALLS: Final = {"function": ("name", "arguments"), "custom": ("name", "input")}
_EXACT: Final = Context(prec=MAX_PREC)


def json_text(text: str) -> JsonText:
    """Return a JSON text as our documents are: with every character as itself, numbers untouched.

    Raises `ValueError` with the reason when it is none, or one that jsonb cannot hold.
    """
    try:
        json.loads(text, parse_constant=_refuse, parse_int=_number, parse_float=_number)
    except RecursionError:
        raise ValueError("is nested too deep") from None
    text = _STRING.sub(_plain, text.strip())
    if not _is_unicode(text):
        raise ValueError("holds half a character (a lone surrogate)")
    if _depth(text) > MAX_DEPTH:
        raise ValueError(f"is nested more than {MAX_DEPTH} deep")
    return JsonText(text)


def metadata(text: str | None, more: Mapping[str, JsonText]) -> JsonText:
    """Return the row's metadata with `more` in it; what is no object stands under a key."""
    members = dict(more)
    document = EMPTY_OBJECT
    if text is not None and text.strip() not in {"", "null"}:
        try:
            document = json_text(text)
        except ValueError:
            document = _quoted(text)
        if not document.startswith("{"):
            members[OLD_METADATA] = document
            document = EMPTY_OBJECT
    if not members:
        return document
    there = json.loads(document, parse_int=str, parse_float=str)
    if taken := sorted(there.keys() & members.keys()):
        raise InvalidValueError("metadata", f"has {taken[0]} already, which chatkeep would add")
    added = ",".join(f'"{name}":{value}' for name, value in members.items())
    return JsonText(f"{document[:-1]}{',' if there else ''}{added}}}")


def columns(extra: str | None) -> dict[str, JsonText]:
    return {} if extra is None else {OLD_COLUMNS: _document(extra)}


def tool_calls(text: str | None) -> tuple[JsonText | None, dict[str, JsonText]]:
    """Return the calls, or, when no model would take them back, what to keep in the metadata."""
    if text is None or not text.strip():
        return None, {}
    document = _document(text)
    value = json.loads(document, parse_int=str, parse_float=str)
    if value is None or value == []:
        return None, {}
    if isinstance(value, list) and all(_is_call(each) for each in value):
        return document, {}
    return None, {OLD_TOOL_CALLS: document}


def _is_call(value: object) -> bool:
    """Whether it has the shape of OpenAI's chat API."""
    if not isinstance(value, dict) or not _is_word(value.get("id")):
        return False
    kind = value.get("type")
    if not isinstance(kind, str) or kind not in _CALLS:
        return False
    called = value.get(kind)
    name, argument = _CALLS[kind]
    return (
        isinstance(called, dict)
        and _is_word(called.get(name))
        and isinstance(called.get(argument), str)
    )


def _is_word(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _document(text: str) -> JsonText:
    """Return the JSON that the text is, or else the text as a JSON string."""
    try:
        return json_text(text)
    except ValueError:
        return _quoted(text)


def _quoted(text: str) -> JsonText:
    return JsonText(json.dumps(text, ensure_ascii=False))


def _plain(string: re.Match[str]) -> str:
    if "\\" not in string[0]:
        return string[0]
    return json.dumps(json.loads(string[0]), ensure_ascii=False)


def _number(text: str) -> str:
    """Refuse the numbers that Postgres has no room for: its exponents end where memory does."""
    if len(text) > _MAX_DIGITS or abs(Decimal(text).adjusted()) > _MAX_DIGITS:
        raise ValueError("holds a number with too many digits")
    return text


def _refuse(constant: str) -> object:
    raise ValueError(f"holds {constant}, which is no JSON")


def _depth(text: str) -> int:
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return 0
    deepest = depth = 0
    for each in _STRING.sub("", text):
        depth += (each in "[{") - (each in "]}")
        deepest = max(deepest, depth)
    return deepest


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def canonical(document: JsonText | None) -> str | None:
    """Return the same text for documents that are equal as JSON."""
    if document is None or document == EMPTY_OBJECT:
        return document
    value = json.loads(document, parse_int=_exact, parse_float=_exact)
    return json.dumps(value, sort_keys=True)


def _exact(number: str) -> Sequence[str]:
    decimal = Decimal(number)
    return ["number", str(decimal.normalize(_EXACT)) if decimal else "0"]
