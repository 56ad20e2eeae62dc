"""JSON in columns of legacy tables, of a JSON or a text type, as chatkeep stores it."""

import json
import re
from collections.abc import Mapping, Sequence
from decimal import MAX_PREC, Context, Decimal
from typing import Final

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.json_fields import (
    MAX_DEPTH,
    TOO_DEEP,
    UNPAIRED_SURROGATE,
    check_call,
    is_deeper,
    is_unicode,
)
from chatkeep.domain.model import EMPTY_OBJECT, JsonText
from chatkeep.domain.parts import parse_parts

OLD_METADATA: Final = "old_metadata"
OLD_TOOL_CALLS: Final = "old_tool_calls"
OLD_COLUMNS: Final = "old_columns"
_STRING: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"')
_MAX_DIGITS: Final = 10_000
_EXACT: Final = Context(prec=MAX_PREC)


def normalize_json(text: str) -> JsonText:
    """Return the JSON without needless escapes in its strings; numbers stay as they are written.

    Raises `ValueError` with the reason when the text is not JSON, or when jsonb cannot hold it.
    """
    try:
        value = json.loads(
            text,
            parse_constant=_reject_constant,
            parse_int=_check_number,
            parse_float=_check_number,
        )
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    text = _STRING.sub(_unescape, text.strip())
    if not is_unicode(text):
        raise ValueError(UNPAIRED_SURROGATE)
    if is_deeper(value, MAX_DEPTH):
        raise ValueError(TOO_DEEP)
    return JsonText(text)


def build_metadata(text: str | None, more: Mapping[str, JsonText]) -> JsonText:
    """Return the row's metadata with the members `more` added.

    A value that is not an object becomes the member `old_metadata`. Raises `InvalidValueError` when
    the metadata already has one of the members to add.
    """
    members = dict(more)
    document = EMPTY_OBJECT
    if text is not None and text.strip() not in {"", "null"}:
        try:
            document = normalize_json(text)
        except ValueError:
            document = _to_json_string(text)
        if not document.startswith("{"):
            members[OLD_METADATA] = document
            document = EMPTY_OBJECT
    if not members:
        return document
    existing = json.loads(document, parse_int=str, parse_float=str)
    if taken := sorted(existing.keys() & members.keys()):
        raise InvalidValueError("metadata", f"already has {taken[0]}, which chatkeep would add")
    added = ",".join(f'"{name}":{value}' for name, value in members.items())
    return JsonText(f"{document[:-1]}{',' if existing else ''}{added}}}")


def extra_members(columns: str | None) -> dict[str, JsonText]:
    """Return the members of the metadata that keep a row's extra columns, given as JSON."""
    return {} if columns is None else {OLD_COLUMNS: _parse_or_quote(columns)}


def parse_tool_calls(text: str | None) -> tuple[JsonText | None, dict[str, JsonText]]:
    """Return the calls, and members of the metadata.

    Calls without the shape of OpenAI's chat API, which no model would accept, are kept in the
    metadata instead.
    """
    if text is None or not text.strip():
        return None, {}
    document = _parse_or_quote(text)
    value = json.loads(document, parse_int=str, parse_float=str)
    if value is None or value == []:
        return None, {}
    if isinstance(value, list) and all(_is_call(each) for each in value):
        return document, {}
    return None, {OLD_TOOL_CALLS: document}


def parse_content(text: str) -> tuple[str | None, JsonText | None]:
    """Return the text of a content in a JSON column, and its parts if it is a list of parts.

    JSON that is neither a string, null nor such a list is the text, as it is written.
    """
    try:
        document = normalize_json(text)
        if document == "null":
            return None, None
        if document.startswith('"'):
            return json.loads(document), None
        content = parse_parts(document, field="content")
    except (ValueError, InvalidValueError):
        return text, None
    return content.text, content.parts


def _is_call(value: object) -> bool:
    """Return whether the value has the shape of a call in OpenAI's chat API."""
    try:
        check_call(value, "tool_calls")
    except InvalidValueError:
        return False
    return True


def _parse_or_quote(text: str) -> JsonText:
    """Return the text if it is JSON, else the text as a JSON string."""
    try:
        return normalize_json(text)
    except ValueError:
        return _to_json_string(text)


def _to_json_string(text: str) -> JsonText:
    return JsonText(json.dumps(text, ensure_ascii=False))


def _unescape(string: re.Match[str]) -> str:
    if "\\" not in string[0]:
        return string[0]
    return json.dumps(json.loads(string[0]), ensure_ascii=False)


def _check_number(text: str) -> str:
    """Raise `ValueError` for a number that Postgres cannot store: jsonb writes out its digits."""
    if len(text) > _MAX_DIGITS or abs(Decimal(text).adjusted()) > _MAX_DIGITS:
        raise ValueError("contains a number with too many digits")
    return text


def _reject_constant(constant: str) -> object:
    raise ValueError(f"contains {constant}, which is not JSON")


def canonical_json(document: JsonText | None) -> str | None:
    """Return a text that is the same for all documents that are equal as JSON."""
    if document is None or document == EMPTY_OBJECT:
        return document
    value = json.loads(document, parse_int=_exact, parse_float=_exact)
    return json.dumps(value, sort_keys=True)


def _exact(number: str) -> Sequence[str]:
    decimal = Decimal(number)
    return ["number", str(decimal.normalize(_EXACT)) if decimal else "0"]
