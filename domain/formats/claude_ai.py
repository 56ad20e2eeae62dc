"""`conversations.json` of Claude.ai's data export: an array of conversations with `chat_messages`.

Its branches become branches here; the one shown last is the current one. Every member of a message
or a conversation that has no place is kept in its metadata. docs/transfer.md describes the whole
mapping.
"""

from collections.abc import Mapping
from typing import Final
from uuid import uuid5

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.formats import chatkeep
from chatkeep.domain.formats.claude_ai_messages import (
    CURRENT,
    KEY,
    NO_PARENT,
    PARENT,
    read_message,
    without_empty_beginning,
)
from chatkeep.domain.formats.codec import (
    IMPORTS,
    NO_ORIGINALS,
    WHOLE,
    Document,
    Line,
    Originals,
    expect,
    get_optional,
    objects,
    present,
    without,
)
from chatkeep.domain.formats.remembering import mark_parts, remember
from chatkeep.domain.formats.trees import find_children, lay_out, walk
from chatkeep.domain.model import MessageId

_PLACED: Final = ("uuid", "name", "created_at", "updated_at", "chat_messages")


def recognizes(document: object) -> bool:
    return isinstance(document, dict) and isinstance(document.get("chat_messages"), list)


def read(document: object, originals: Originals = NO_ORIGINALS) -> Line:
    """Return the conversation. Raises `InvalidValueError` naming the field."""
    given: Document = expect(document, WHOLE, dict)
    claude_id, name, current = (
        get_optional(given, member, "", str) for member in ("uuid", "name", CURRENT)
    )
    listed = _by_key(objects(given, "chat_messages"))
    parents = _parents(listed)
    branch = _branch(listed, parents, current)
    order = walk(find_children(parents, {}))
    if claude_id and len(order) == len(listed) and _is_in_order(parents):
        order = [*listed]
    places = {key: index for index, key in enumerate(listed)}
    messages: list[Document] = []
    before: list[int | None] = []
    latest: dict[str | None, int | None] = {None: None}  # the last part of each message
    for key in order:
        where = f"chat_messages[{places[key]}]"
        rest = _without_usual_parent(listed[key], parents[key])
        place = latest[parents[key]]
        parts = read_message(rest, key, where)
        for number, message in enumerate(without_empty_beginning(parts) if claude_id else parts):
            if number == 0:
                message[chatkeep.ORIGIN] = places[key]
            if claude_id:
                message["id"] = str(_message_id(claude_id, key, number))
            before.append(place)
            place = len(messages)
            messages.append(message)
        latest[key] = place
    last = [*branch][-1] if branch else None
    placed = _PLACED if not branch or current not in {None, last} else (*_PLACED, CURRENT)
    kept = present(
        {
            "conversation": present(without(given, *placed)),
            # Those of a circle, which no first message leads to.
            "messages": without(listed, *order),
        }
    )
    line = chatkeep.read(
        {
            "source": f"{KEY}#{claude_id}" if claude_id else None,
            "title": name or None,
            "metadata": {KEY: kept} if kept else None,
            "created_at": given.get("created_at"),
            "updated_at": given.get("updated_at"),
            **lay_out(messages, before, latest[last]),
        },
        key=KEY,
        canonical=f"{KEY}:{claude_id}" if claude_id else None,
        originals=originals,
    )
    if not originals:
        return line
    members = without(given, "chat_messages", *kept.get("conversation", ()))
    last_id = None if last is None else listed[last].get("uuid")
    return mark_parts(remember(line, KEY, {"members": members, "last": last_id}), KEY)


def _is_in_order(parents: Mapping[str, str | None]) -> bool:
    """Return whether each message is listed behind its parent."""
    seen: set[str | None] = {None}
    for key, parent in parents.items():
        if parent not in seen:
            return False
        seen.add(key)
    return True


def _message_id(claude_id: str, key: str, number: int) -> MessageId:
    """Return the id of a message: of several that one document becomes, each has another."""
    of_part = f"/{number}" if number else ""
    return MessageId(uuid5(IMPORTS, f"{KEY}:{claude_id}:{key}{of_part}"))


def _by_key(listed: list[Document]) -> dict[str, Document]:
    """Return the messages by their ids; one without, or with that of another, by its place."""
    found: dict[str, Document] = {}
    for index, each in enumerate(listed):
        key = get_optional(each, "uuid", f"chat_messages[{index}]", str) or ""
        found[key if key and key not in found else f"{key}#{index}"] = each
    return found


def _parents(listed: Mapping[str, Document]) -> dict[str, str | None]:
    """Return the parent of each message, None for a first one.

    A message of older exports has no such member: it follows the one listed before it.
    """
    parents: dict[str, str | None] = {}
    before: str | None = None
    for index, (key, each) in enumerate(listed.items()):
        parent = get_optional(each, PARENT, f"chat_messages[{index}]", str)
        parents[key] = before if parent is None else parent if parent in listed else None
        before = key
    return parents


def _branch(
    listed: Mapping[str, Document], parents: Mapping[str, str | None], current: str | None
) -> dict[str, None]:
    """Return the keys from the first message to the one shown last, in order.

    That is `current`, or of the messages without an answer the latest; of equally late ones the
    last. Raises `InvalidValueError` for a circle.
    """
    answered = set(parents.values())
    leaves = [key for key in reversed([*listed]) if key not in answered]
    if listed and not leaves:
        raise InvalidValueError("chat_messages", "are all among their own ancestors")
    latest = max(leaves, key=lambda leaf: _said_at(listed[leaf]), default=None)
    key = current if current in listed else latest
    path: dict[str, None] = {}
    while key is not None:
        if key in path:
            raise InvalidValueError(f"chat_messages.{key}", "is among its own ancestors")
        path[key] = None
        key = parents[key]
    return dict.fromkeys(reversed(path))


def _said_at(given: Document) -> str:
    """Return the time of a message: times of one form are in the order of their texts."""
    at = given.get("created_at")
    return at if isinstance(at, str) else ""


def _without_usual_parent(given: Document, parent: str | None) -> Document:
    """Return a message without the parent that its place says."""
    return without(given, PARENT) if given.get(PARENT) in {parent, NO_PARENT} else given
