"""The messages of the service's own format, as entries of the log."""

import json
from datetime import datetime
from typing import Any, Final

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.formats.codec import Document, check_objects, expect, get_optional
from chatkeep.domain.formats.openai_items import ParsedItem, parse_item
from chatkeep.domain.formats.values import read_id, read_time
from chatkeep.domain.items import ItemText, message_id_in
from chatkeep.domain.json_fields import (
    check_json,
    check_original,
    json_text,
    metadata_text,
    tool_calls_text,
)
from chatkeep.domain.log import NewEntry
from chatkeep.domain.model import JsonText, MessageId, NewMessage, OriginalText, Role, same_json
from chatkeep.domain.parts import encode_parts, parse_parts

EXTRAS: Final = ("edited_at", "tokens", "starts_context", "format", "original")
"""Fields that few messages have."""
_ITEM_FIELDS: Final = frozenset({"item", "created_at"})


def read_entry(given: Document, field: str, key: str, original: str | None) -> NewEntry:
    created_at = read_time(given, "created_at", field)
    message_id = read_id(given, field)
    text = get_optional(given, "item", field, str)
    if "role" not in given:
        return _item_alone(given, text, created_at, field)
    role = read_choice(Role, expect(given["role"], f"{field}.role", str), f"{field}.role")
    item = None if text is None else _item(text, f"{field}.item")
    content, parts = _content(given, field)
    calls = get_optional(given, "tool_calls", field, list)
    if calls is not None:
        check_objects(calls, f"{field}.tool_calls")
    call_id = get_optional(given, "tool_call_id", field, str)
    name = get_optional(given, "name", field, str)
    metadata = get_optional(given, "metadata", field, dict)

    is_of_item = (
        item is not None
        and item.message is not None
        and same_json(parts, item.message.parts)
        and name is None
        and metadata is None
        and given.keys().isdisjoint(EXTRAS)
        and (role, content, call_id) == _said(item.message)
        and calls == _calls(item.message)
    )
    extras = {} if given.keys().isdisjoint(EXTRAS) else _extras(given, field)
    if original is not None:
        checked = check_original(original, field=f"{field}.original")
        extras = {**extras, "format": key, "original": checked}
    message = NewMessage(
        role=role,
        content=content,
        parts=parts,
        tool_calls=_tool_calls(calls, f"{field}.tool_calls", checked=not is_of_item),
        tool_call_id=call_id,
        name=name,
        metadata=metadata_text(metadata, field=f"{field}.metadata"),
        id=None if message_id is None else MessageId(message_id),
        created_at=created_at,
        **extras,
    )
    if item is None:
        return NewEntry(message=message)
    if item.id is not None and message_id_in(item.id) not in {None, message_id}:
        raise InvalidValueError(f"{field}.item.id", "is derived from the id of another message")
    return NewEntry(
        message=message,
        item=ItemText(item.canonical()),
        item_id=item.id,
        is_of_item=is_of_item,
    )


def _extras(given: Document, field: str) -> dict[str, Any]:
    original = get_optional(given, "original", field, str)
    return {
        "edited_at": read_time(given, "edited_at", field),
        "tokens": get_optional(given, "tokens", field, int),
        "starts_context": get_optional(given, "starts_context", field, bool) or False,
        "format": get_optional(given, "format", field, str),
        "original": None if original is None else _original(original, f"{field}.original"),
    }


def _original(text: str, field: str) -> OriginalText:
    _check_written(text, field)
    return check_original(text, field=field)


def _content(given: Document, field: str) -> tuple[str | None, JsonText | None]:
    """Return the text of the content, and its parts if it is a list of them."""
    content = get_optional(given, "content", field, str, list)
    written = get_optional(given, "parts", field, str)
    if written is not None:
        if content is not None:
            raise InvalidValueError(f"{field}.parts", "cannot be combined with content")
        _check_written(written, f"{field}.parts")
        found = parse_parts(written, field=f"{field}.parts")
        return found.text, found.parts
    if isinstance(content, list):
        found = encode_parts(content, field=f"{field}.content")
        return found.text, found.parts
    return content, None


def _check_written(text: str, field: str) -> None:
    try:
        check_json(text)
    except ValueError as error:
        raise InvalidValueError(field, f"is not JSON in a string: {error}") from error


def _tool_calls(calls: list[Any] | None, field: str, *, checked: bool) -> JsonText | None:
    if checked or calls is None:
        return tool_calls_text(calls, field=field)
    return json_text(calls, field=field)


def _said(message: NewMessage) -> tuple[Role, str | None, str | None]:
    return message.role, message.content, message.tool_call_id


def _calls(message: NewMessage) -> Any:  # noqa: ANN401 - any JSON
    return None if message.tool_calls is None else json.loads(message.tool_calls)


def _item_alone(
    given: Document, text: str | None, created_at: datetime | None, field: str
) -> NewEntry:
    if text is None:
        raise InvalidValueError(f"{field}.role", "is missing")
    if not given.keys() <= _ITEM_FIELDS:
        raise InvalidValueError(
            f"{field}.role", "is missing: the other fields are those of a message"
        )
    item = _item(text, f"{field}.item")
    if item.message is not None:
        raise InvalidValueError(f"{field}.role", "is missing: this item is a message")
    return NewEntry(
        message=None,
        item=ItemText(item.canonical()),
        item_id=item.id,
        created_at=created_at,
    )


def _item(text: str, field: str) -> ParsedItem:
    try:
        check_json(text)
    except ValueError as error:
        raise InvalidValueError(field, f"is not JSON in a string: {error}") from error
    item = parse_item(ItemText(text), field=field)
    if item.id is None:
        raise InvalidValueError(f"{field}.id", "is missing")
    return item


def read_choice(choices: Any, given: str, field: str) -> Any:  # noqa: ANN401 - an enumeration
    try:
        return choices(given)
    except ValueError:
        raise InvalidValueError(field, f"must be one of {', '.join(choices)}") from None
