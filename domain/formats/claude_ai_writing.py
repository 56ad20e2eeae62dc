"""Writes `conversations.json` of Claude.ai's data export: conversations with `chat_messages`.

What was imported from such an export is given back: a message is its original, also if it became
several messages here. Other messages become one each, with blocks for a text, calls or a result.
"""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Final

from chatkeep.domain.context import Call, calls
from chatkeep.domain.formats.claude_ai_messages import CURRENT, KEY, NO_PARENT, PARENT
from chatkeep.domain.formats.codec import Document, Embed, embed_original
from chatkeep.domain.formats.expansion import expand_message
from chatkeep.domain.formats.links import Ends, Links
from chatkeep.domain.formats.remembering import REMEMBERED
from chatkeep.domain.formats.tool_calls import parse_strictly
from chatkeep.domain.formats.tree_writing import (
    Named,
    count_conversation,
    count_message,
    count_translated,
    kept_under,
    member_object,
    read_source,
)
from chatkeep.domain.formats.values import write_time
from chatkeep.domain.ids import written_id
from chatkeep.domain.json_sources import dump, object_sources
from chatkeep.domain.log import Entry
from chatkeep.domain.model import Conversation, Message, OriginalText, Role, Status

_SENDERS: Final = {Role.USER: "human", Role.TOOL: "assistant", Role.DEVELOPER: "system"}


def ends_of(message: Message) -> Ends:
    """Return the uuids of the first and the last chat message that a message becomes."""
    if message.format == KEY:
        uuid = kept_under(message.metadata, KEY).get("id")
        name = uuid if isinstance(uuid, str) else ""
        return Ends(name, name)
    made = _translate(message)
    return Ends(made[0]["uuid"], made[-1]["uuid"])


def _is_imported(message: Message) -> bool:
    """Return whether the original of a message is one of an export, if an import brought it."""
    if message.format != KEY or message.original is None:
        return False
    return isinstance(json.loads(message.original), dict)


class ClaudeWriter:
    """Writes one conversation."""

    def __init__(self, conversation: Conversation, links: Links, embed: Embed) -> None:
        self.left_out: Counter[str] = Counter()
        self._conversation = conversation
        self._links = links
        self._embed = embed
        self._kept = kept_under(conversation.metadata, KEY)
        self._remembered = member_object(self._kept, REMEMBERED)
        self._before: Ends | None = None
        self._written: Ends | None = None
        self._has_new = False
        count_conversation(self.left_out, conversation, KEY)
        if conversation.status is Status.ARCHIVED:
            self.left_out["conversation: status archived"] += 1

    def add(self, entry: Entry) -> Iterator[Named]:
        message = entry.message
        if message is None:
            self.left_out["items that are not messages"] += 1
            return
        ends = ends_of(message)
        before = self._links.before.get(entry.position, self._before)
        count_message(self.left_out, message, KEY)
        if message.format == KEY and message.original is None:
            if before == ends:  # a part of the document before it
                self._before = ends
                return
            ends = Ends(str(written_id(message.id)), str(written_id(message.id)))
        if message.original is not None and _is_imported(message):
            yield ends.first, self._imported(message.original, before)
        else:
            self._has_new = True
            count_translated(self.left_out, message)
            parent = None if before is None else before.last
            for each in _translate(message):
                # Messages of older exports have no ids: the next one follows in the file.
                follows = {} if parent == "" else {PARENT: parent or NO_PARENT}
                yield each["uuid"], {**each, **follows}
                parent = each["uuid"]
        self._before = self._written = ends

    def rest(self) -> Iterator[Named]:
        """Yield the messages in a circle, which became none."""
        yield from member_object(self._kept, "messages").items()

    def tail(self) -> Document:
        given = self._conversation
        last = self._links.last or self._before
        updated_at = write_time(given.updated_at)
        members = self._remembered.get("members")
        document = member_object(self._kept, "conversation")
        if not isinstance(members, dict):
            return {
                **document,
                "uuid": read_source(given, KEY) or str(written_id(given.id)),
                "name": given.title or "",
                "created_at": write_time(given.created_at),
                "updated_at": updated_at,
                CURRENT: None if last is None else last.last,
            }
        document |= members
        if (members.get("name") or None) != given.title:
            document["name"] = given.title or ""
        if self._has_new:
            document["updated_at"] = updated_at
        if ((last and last.last) or None) != self._remembered.get("last"):
            document[CURRENT] = None if last is None else last.last
        return document

    def _imported(self, original: OriginalText, before: Ends | None) -> object:
        """Return the original. If it does not name the message before it, that is corrected."""
        given = json.loads(original)
        parent = given.get(PARENT)
        is_right = (
            before is None
            or parent == before.last
            or (parent is None and before == self._written)
            or not before.last
        )
        if is_right:
            return embed_original(original, self._embed)
        sources = object_sources(original) | {PARENT: dump(before.last if before else None)}
        return {name: self._embed(text) for name, text in sources.items()}


def _translate(message: Message) -> list[Document]:
    """Return the chat messages for a message, at least one."""
    first = str(written_id(message.id))
    at = write_time(message.created_at)
    found = expand_message(message) or (message._replace(content="", parts=None, original=None),)
    return [
        {
            "uuid": f"{first}/{index}" if index else first,
            "text": "" if each.role is Role.TOOL else each.content or "",
            "content": _blocks(each),
            "sender": _SENDERS.get(each.role, each.role.value),
            "created_at": at,
            "updated_at": at,
            "attachments": [],
            "files": [],
        }
        for index, each in enumerate(found)
    ]


def _blocks(message: Message) -> list[Document]:
    texts = [{"type": "text", "text": message.content}] if message.content else []
    if message.role is Role.TOOL:
        failed = any(
            kept_under(message.metadata, key).get("is_error") is True for key in (KEY, "anthropic")
        )
        return [
            {
                "type": "tool_result",
                "tool_use_id": message.tool_call_id,
                "name": message.name,
                "content": texts,
                "is_error": failed,
            }
        ]
    asked = [] if message.tool_calls is None else calls(message.tool_calls)
    uses = [
        {"type": "tool_use", "id": call.id, "name": call.name, "input": _input(call)}
        for call in asked
    ]
    return [*texts, *uses]


def _input(call: Call) -> Document:
    found = None if call.is_custom else parse_strictly(call.payload)
    if isinstance(found, dict):
        return found
    return {"input" if call.is_custom else "arguments": call.payload} if call.payload else {}
