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

from collections import Counter
from typing import Any, Final

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.formats.branches import BRANCH, BRANCHES, take_branches
from chatkeep.domain.formats.chatkeep_messages import EXTRAS, read_choice, read_entry
from chatkeep.domain.formats.codec import (
    NO_ORIGINALS,
    WHOLE,
    Document,
    Line,
    Originals,
    expect,
    get_optional,
    get_required,
    objects,
    path,
)
from chatkeep.domain.formats.values import parse_time, read_id, read_time, write_time
from chatkeep.domain.ids import parse_id
from chatkeep.domain.json_fields import json_text, metadata_text, stable_json
from chatkeep.domain.model import (
    FIRST_REVISION,
    MAX_REVISION,
    ConversationId,
    ForkedFrom,
    JsonText,
    Status,
)
from chatkeep.domain.parts import TEXTS

SOURCE: Final = "source"
FORKED_FROM: Final = "forked_from"
_FIELDS: Final = frozenset(
    {
        *("messages", SOURCE, "title", "status", "metadata", "retain", "revision", "id"),
        *("created_at", "updated_at", BRANCH, BRANCHES, FORKED_FROM),
    }
)

_MESSAGE_FIELDS: Final = frozenset(
    {
        *("role", "content", "tool_calls", "tool_call_id", "name", "metadata", "id"),
        *("created_at", "item", "parts", BRANCH),
        *EXTRAS,
    }
)
_OWN_FIELDS: Final = frozenset({"status", "retain", SOURCE, "created_at", "updated_at"})
_USUAL_FIELDS: Final = frozenset({"id", "title"})  # which files of others may have too
_KINDS: Final = frozenset({*TEXTS, "image_url", "input_audio", "file", "image", "document"})
_OWN_MESSAGE_FIELDS: Final = frozenset({"created_at", "metadata", "item", "parts"})

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
        read_entry(message, f"messages[{index}]", key, originals.get(origin) if originals else None)
        for index, (message, origin) in enumerate(zip(present, origins, strict=True))
    ]
    status = get_optional(given, "status", "", str)
    conversation_id = read_id(given, "")
    return Line(
        id=None if conversation_id is None else ConversationId(conversation_id),
        title=get_optional(given, "title", "", str),
        status=Status.ACTIVE if status is None else read_choice(Status, status, "status"),
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


def _with_source(metadata: Document | None, source: str | None) -> JsonText:
    if source is None:
        return metadata_text(metadata)
    if metadata and SOURCE in metadata:
        reason = f"cannot be combined with {SOURCE}"
        raise InvalidValueError(f"metadata.{SOURCE}", reason)
    return json_text({**(metadata or {}), SOURCE: source}, field="metadata")
