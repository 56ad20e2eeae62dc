"""The service's own format (`jsonl`): a document that has a place for everything.

    {"source": ..., "title": ..., "created_at": ..., "messages": [{"role": ..., "content": ...}]}

All keys may be null or absent, except `messages` and the `role` of a message. `source`, the origin
of a conversation, is kept in its metadata. `item` has the exact JSON text of an item from OpenAI's
API, in a string, and `original` that of a message's original. An item that is not a message has no
`role`, but keeps its place in `messages`. `content` is a text or a list of parts. A list with
numbers that programs write in several ways, such as 1.0, is JSON in a string, `parts`, and there is
no `content`.

The readers of all other formats build such a document, and let it be read here.
"""

import json
from collections import Counter
from datetime import datetime
from typing import Any, Final

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.formats.branches import BRANCH, BRANCHES, take_branches
from chatkeep.domain.formats.codec import (
    NO_ORIGINALS,
    WHOLE,
    Document,
    Embed,
    EntryWriter,
    Line,
    Originals,
    check_objects,
    expect,
    get_optional,
    get_required,
    objects,
    path,
)
from chatkeep.domain.formats.openai_items import ParsedItem, parse_item
from chatkeep.domain.formats.values import parse_time, read_id, read_time, write_time
from chatkeep.domain.ids import parse_id, written_id
from chatkeep.domain.items import ItemText, message_id_in
from chatkeep.domain.json_fields import (
    check_json,
    check_original,
    json_text,
    metadata_text,
    stable_json,
    tool_calls_text,
)
from chatkeep.domain.json_sources import object_sources, write_object
from chatkeep.domain.log import Entry, NewEntry
from chatkeep.domain.model import (
    EMPTY_OBJECT,
    FIRST_REVISION,
    MAX_REVISION,
    Conversation,
    ConversationId,
    ForkedFrom,
    JsonText,
    Message,
    MessageId,
    NewMessage,
    OriginalText,
    Role,
    Status,
    same_json,
)
from chatkeep.domain.parts import TEXTS, encode_parts, has_odd_numbers, parse_parts

SOURCE: Final = "source"
FORKED_FROM: Final = "forked_from"
_FIELDS: Final = frozenset(
    {
        *("messages", SOURCE, "title", "status", "metadata", "retain", "revision", "id"),
        *("created_at", "updated_at", BRANCH, BRANCHES, FORKED_FROM),
    }
)
_EXTRAS: Final = ("edited_at", "tokens", "starts_context", "format", "original")
"""Fields that few messages have."""

_MESSAGE_FIELDS: Final = frozenset(
    {
        *("role", "content", "tool_calls", "tool_call_id", "name", "metadata", "id"),
        *("created_at", "item", "parts", BRANCH),
        *_EXTRAS,
    }
)
_OWN_FIELDS: Final = frozenset({"status", "retain", SOURCE, "created_at", "updated_at"})
_USUAL_FIELDS: Final = frozenset({"id", "title"})  # which files of others may have too
_KINDS: Final = frozenset({*TEXTS, "image_url", "input_audio", "file", "image", "document"})
_OWN_MESSAGE_FIELDS: Final = frozenset({"created_at", "metadata", "item", "parts"})
_ITEM_FIELDS: Final = frozenset({"item", "created_at"})

ORIGIN: Final = "origin"
"""In the documents that other readers build: the name of a message's original in `Originals`."""

_BUILT_FIELDS: Final = _MESSAGE_FIELDS | {ORIGIN}


def recognizes(document: object) -> bool:
    return isinstance(document, dict) and isinstance(document.get("messages"), list)


def may_be_of_others(document: object) -> bool:
    """Return whether a document has lists as content and nothing that only this format has.

    With an id or a title it is of another format only if a list has a kind that other formats read
    as more than a part, such as a call.
    """
    match document:
        case {"messages": list(messages), **rest} if not rest.keys() & _OWN_FIELDS:
            said = [each for each in messages if isinstance(each, dict)]
            lists = [each["content"] for each in said if isinstance(each.get("content"), list)]
            if not lists or any(each.keys() & _OWN_MESSAGE_FIELDS for each in said):
                return False
            parts = [part for parts in lists for part in parts]
            return not rest.keys() & _USUAL_FIELDS or not all(map(_is_known, parts))
    return False


def _is_known(part: object) -> bool:
    return isinstance(part, dict) and part.get("type") in _KINDS


def read(
    document: object,
    *,
    key: str = "",
    canonical: str | None = None,
    formerly: object = None,
    originals: Originals = NO_ORIGINALS,
) -> Line:
    """Return the conversation of a document. `canonical` is an id from its source, if any.

    `key` is the name of another format whose reader built the document.

    `formerly` is the document that earlier versions made of the same source: a conversation that
    they imported is recognized by it. Members of metadata under `key` are counted as those that
    have no separate field. `originals` are those of the messages. Raises `InvalidValueError` naming
    the field.
    """
    without_place = _count_members(document, key) if key else Counter[str]()
    former = "" if formerly is None or formerly == document else read(formerly, key=key).canonical
    given = _present(expect(document, WHOLE, dict), _FIELDS, "")
    messages = objects(given, "messages")
    known = _BUILT_FIELDS if key else _MESSAGE_FIELDS
    present = [
        _present(message, known, f"messages[{index}]") for index, message in enumerate(messages)
    ]
    origins = [message.pop(ORIGIN, None) for message in present]
    whole = {**given, "messages": [*present]}
    tree = take_branches(given, present)
    entries = [
        _entry(message, f"messages[{index}]", key, originals.get(origin) if originals else None)
        for index, (message, origin) in enumerate(zip(present, origins, strict=True))
    ]
    status = get_optional(given, "status", "", str)
    conversation_id = read_id(given, "")
    return Line(
        id=None if conversation_id is None else ConversationId(conversation_id),
        title=get_optional(given, "title", "", str),
        status=Status.ACTIVE if status is None else _choice(Status, status, "status"),
        metadata=_with_source(
            get_optional(given, "metadata", "", dict), get_optional(given, SOURCE, "", str)
        ),
        retain=get_optional(given, "retain", "", bool) or False,
        revision=_revision(given),
        created_at=read_time(given, "created_at", ""),
        updated_at=read_time(given, "updated_at", ""),
        entries=tuple(entries),
        tree=tree,
        forked_from=_forked_from(given),
        canonical=canonical or ("" if conversation_id else _canonical(whole)),
        formerly=former,
        without_place=without_place,
        may_grow=canonical is not None,
    )


def _forked_from(given: Document) -> ForkedFrom | None:
    document = get_optional(given, FORKED_FROM, "", dict)
    if document is None:
        return None
    for name in document:
        if name not in ForkedFrom._fields:
            raise InvalidValueError(f"{FORKED_FROM}.{name}", "is not a field of this format")
    ids = ForkedFrom(
        get_required(document, "conversation_id", FORKED_FROM, str),
        get_optional(document, "message_id", FORKED_FROM, str),
    )
    for name, text in ids._asdict().items():
        if text is not None:
            parse_id(text, field=f"{FORKED_FROM}.{name}")
    return ids


class ChatkeepWriter(EntryWriter):
    """Writes the format that `read` reads. Only idempotency keys are left out."""

    writes_empty = True
    writes_branches = True
    leaves_out = frozenset[str]()

    def head(self, conversation: Conversation, embed: Embed) -> Document:
        source, metadata = _without_source(conversation.metadata)
        head: Document = {} if source is None else {SOURCE: source}
        head["title"] = conversation.title
        head["status"] = conversation.status
        if metadata != EMPTY_OBJECT:
            head["metadata"] = embed(metadata)
        if conversation.retain:
            head["retain"] = True
        if conversation.forked_from is not None:
            head[FORKED_FROM] = conversation.forked_from._asdict()
        if conversation.revision != FIRST_REVISION:
            head["revision"] = conversation.revision
        head["id"] = written_id(conversation.id)
        head["created_at"] = conversation.created_at
        head["updated_at"] = conversation.updated_at
        return head

    def entry(self, entry: Entry, embed: Embed) -> Document:
        if entry.message is None:
            return {"item": entry.item or "", "created_at": entry.created_at}
        return _message(entry.message, entry.item, embed)

    def tail(self, conversation: Conversation, embed: Embed) -> Document:  # noqa: ARG002 - the interface
        return {}


def _message(message: Message, item: ItemText | None, embed: Embed) -> Document:
    document: Document = {"role": message.role}
    if message.parts is None:
        document["content"] = message.content
    elif has_odd_numbers(message.parts):
        document["parts"] = message.parts
    else:
        document["content"] = embed(message.parts)
    if message.tool_calls is not None:
        document["tool_calls"] = embed(message.tool_calls)
    if message.tool_call_id is not None:
        document["tool_call_id"] = message.tool_call_id
    if message.name is not None:
        document["name"] = message.name
    if message.metadata != EMPTY_OBJECT:
        document["metadata"] = embed(message.metadata)
    document["id"] = written_id(message.id)
    document["created_at"] = message.created_at
    for name in _EXTRAS:
        value = getattr(message, name)
        if value is not None and value is not False:
            document[name] = value
    if item is not None:
        document["item"] = item
    return document


def _revision(given: Document) -> int:
    revision: int | None = get_optional(given, "revision", "", int)
    if revision is None:
        return FIRST_REVISION
    if not 0 <= revision <= MAX_REVISION:
        raise InvalidValueError("revision", f"must be from 0 to {MAX_REVISION}")
    return revision


def _count_members(document: Any, key: str) -> Counter[str]:  # noqa: ANN401 - what a reader made
    return Counter(
        f"{key}.{name}"
        for each in (document, *document["messages"])
        for name in (each.get("metadata") or {}).get(key, ())
    )


def _canonical(given: Document) -> str:
    """Return a text that does not depend on how ids and times of a conversation are written."""
    messages = [_rewrite(message) for message in given["messages"]]
    return stable_json(_rewrite({**given, "messages": messages}), sort_keys=True)


def _rewrite(document: Document) -> Document:
    document = dict(document)
    if "id" in document:
        document["id"] = str(parse_id(document["id"]))
    for name in ("created_at", "updated_at", "edited_at"):
        if name in document:
            document[name] = write_time(parse_time(document[name], name))
    return document


def _present(document: Document, known: frozenset[str], field: str) -> Document:
    """Return the members that are not null. Raises `InvalidValueError` for an unknown one."""
    for name in document:
        if name not in known:
            raise InvalidValueError(path(field, name), "is not a field of this format")
    return {name: value for name, value in document.items() if value is not None}


def _entry(given: Document, field: str, key: str, original: str | None) -> NewEntry:
    created_at = read_time(given, "created_at", field)
    message_id = read_id(given, field)
    text = get_optional(given, "item", field, str)
    if "role" not in given:
        return _item_alone(given, text, created_at, field)
    role = _choice(Role, expect(given["role"], f"{field}.role", str), f"{field}.role")
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
        and given.keys().isdisjoint(_EXTRAS)
        and (role, content, call_id) == _said(item.message)
        and calls == _calls(item.message)
    )
    extras = {} if given.keys().isdisjoint(_EXTRAS) else _extras(given, field)
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


def _choice(choices: Any, given: str, field: str) -> Any:  # noqa: ANN401 - an enumeration
    try:
        return choices(given)
    except ValueError:
        raise InvalidValueError(field, f"must be one of {', '.join(choices)}") from None


def _with_source(metadata: Document | None, source: str | None) -> JsonText:
    if source is None:
        return metadata_text(metadata)
    if metadata and SOURCE in metadata:
        reason = f"cannot be combined with {SOURCE}"
        raise InvalidValueError(f"metadata.{SOURCE}", reason)
    return json_text({**(metadata or {}), SOURCE: source}, field="metadata")


def _without_source(metadata: JsonText) -> tuple[str | None, JsonText]:
    if SOURCE not in metadata:
        return None, metadata
    members = object_sources(metadata)
    source = members.pop(SOURCE, "")
    if not source.startswith('"'):
        return None, metadata
    return json.loads(source), JsonText(write_object(members))
