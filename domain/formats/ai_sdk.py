"""Vercel's AI SDK: chats of UIMessages, {"id", "messages": [{"id", "role", "parts"}]}.

Each UIMessage becomes one message, and is kept as its original, since no other format has a place
for all of its parts. Chats are read for imports and written for exports.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from chatkeep.domain.context import Context
from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.formats import chatkeep
from chatkeep.domain.formats.ai_sdk_files import content_parts
from chatkeep.domain.formats.ai_sdk_messages import parse_ui_message
from chatkeep.domain.formats.ai_sdk_writing import FORMAT, reasoning_message, ui_messages
from chatkeep.domain.formats.codec import (
    NO_ORIGINALS,
    WHOLE,
    Document,
    Embed,
    Line,
    Originals,
    expect,
    objects,
    without,
)
from chatkeep.domain.formats.values import read_id, read_time, write_time
from chatkeep.domain.json_fields import stable_json
from chatkeep.domain.json_sources import object_sources, write_object
from chatkeep.domain.log import Entry
from chatkeep.domain.model import EMPTY_OBJECT, Conversation, JsonText, Role, Status

KEY: Final = FORMAT


def recognizes(document: object) -> bool:
    """Return whether the document has messages with typed parts, and without a content."""
    listed = document.get("messages") if isinstance(document, dict) else document
    return isinstance(listed, list) and any(map(_is_ui_message, listed))


def _is_ui_message(message: object) -> bool:
    match message:
        case {"role": str(), "parts": list(parts), **rest} if "content" not in rest:
            return any(isinstance(part, dict) and "type" in part for part in parts)
    return False


def read(document: object, originals: Originals = NO_ORIGINALS) -> Line:
    """Return the conversation. Raises `InvalidValueError` naming the field.

    A message that is not in `originals` is its own original, as JavaScript writes it.
    """
    given: Any = expect(document, WHOLE, dict, list)
    given = {"messages": given} if isinstance(given, list) else given
    messages = [
        {**_read(message, f"messages[{index}]"), chatkeep.ORIGIN: index}
        for index, message in enumerate(objects(given, "messages"))
    ]
    seen = set()
    for message in messages:  # of messages with one id, the first has it here
        if message["id"] in seen:
            message["id"] = None
        seen.add(message["id"])
    made: Document = {}
    kept: Document = {}
    for name, value in without(given, "messages").items():
        field, place = _PLACES.get(name, ("", _nowhere))
        if (usable := place(name, value)) is not None:
            made[field] = usable
        elif value is not None:
            kept[name] = value
    if kept:
        if KEY in made.get("metadata", {}):
            kept["metadata"] = made.pop("metadata")
        made["metadata"] = {**made.get("metadata", {}), KEY: kept}
    return chatkeep.read({**made, "messages": messages}, key=KEY, originals=originals)


def _read(given: Document, where: str) -> Document:
    try:
        original = stable_json(given)
    except ValueError:
        raise InvalidValueError(where, "contains a number that is out of range") from None
    message = parse_ui_message(original, field=where)
    return {
        "role": message.role.value,
        "content": content_parts(message) or message.text(),
        "metadata": None if message.metadata is None else given["metadata"],
        "id": _id("id", given.get("id")),
        "created_at": _time("createdAt", given.get("createdAt")),
        "format": FORMAT,
        "original": original,
    }


def _id(name: str, value: object) -> object:
    """Return an id if chatkeep can have the same one."""
    try:
        return None if read_id({name: value}, "") is None else value
    except InvalidValueError:
        return None


def _time(name: str, value: object) -> object:
    try:
        return None if read_time({name: value}, name, "") is None else value
    except InvalidValueError:
        return None


def _text(_: str, value: object) -> object:
    return value if isinstance(value, str) else None


def _status(_: str, value: object) -> object:
    return value if value in [*Status] else None


def _object(_: str, value: object) -> object:
    return value if isinstance(value, dict) else None


def _nowhere(_: str, value: object) -> object:  # noqa: ARG001 - as the others
    return None


# The fields of a conversation for the members of a chat, each with what reads it.
_PLACES: Final[Mapping[str, tuple[str, Callable[[str, object], Any]]]] = {
    "id": ("id", _id),
    "title": ("title", _text),
    "status": ("status", _status),
    "createdAt": ("created_at", _time),
    "updatedAt": ("updated_at", _time),
    "metadata": ("metadata", _object),
}


class UIMessageWriter:
    """Writes the format that `read` reads.

    It leaves out holds, and of messages that were not sent as UIMessages what `ui_messages` leaves
    out. Of items that are not messages it has only the texts of reasoning.
    """

    messages_in = "messages"
    skips = "items that are not messages"
    writes_empty = True
    writes_branches = False
    leaves_out = frozenset(
        {
            *("tool_calls", "tool_call_id", "name", "created_at", "edited_at"),
            *("tokens", "starts_context", "format", "original"),
        }
    )

    def head(self, conversation: Conversation, embed: Embed) -> Document:
        kept, metadata = _without_kept(conversation.metadata)
        head: Document = {name: embed(text) for name, text in kept.items() if name != "messages"}
        head["id"] = str(conversation.id)
        if conversation.title is not None:
            head["title"] = conversation.title
        head["status"] = conversation.status
        head["createdAt"] = write_time(conversation.created_at)
        head["updatedAt"] = write_time(conversation.updated_at)
        if metadata != EMPTY_OBJECT:
            head["metadata"] = embed(metadata)
        return head

    def continues(self, entry: Entry) -> bool:
        return entry.message is not None and entry.message.role is Role.TOOL

    def write(self, entries: Sequence[Entry], embed: Embed) -> Sequence[object]:
        thoughts = [each for each in map(reasoning_message, entries) if each is not None]
        messages = [entry.message for entry in entries if entry.message is not None]
        return [*thoughts, *ui_messages(messages, embed)]

    def members(self, entries: Sequence[Entry], embed: Embed) -> Document:  # noqa: ARG002 - the interface
        return {}

    def tail(self, conversation: Conversation, embed: Embed) -> Document:  # noqa: ARG002 - the interface
        return {}


def _without_kept(metadata: JsonText) -> tuple[Mapping[str, str], JsonText]:
    """Return the members of a chat that only its metadata has, and the rest of the metadata."""
    if KEY not in metadata:
        return {}, metadata
    sources = object_sources(metadata)
    kept = sources.pop(KEY, "")
    if not kept.startswith("{"):
        return {}, metadata
    return object_sources(kept), JsonText(write_object(sources))


def write_context(context: Context, embed: Embed) -> Document:
    """Return the messages of a context as UIMessages.

    `omitted` names parts that UIMessages cannot have, if there are any.
    """
    omitted: list[Document] = []
    messages = ui_messages(context.messages, embed, omitted)
    return {"messages": messages, "omitted": omitted} if omitted else {"messages": messages}
