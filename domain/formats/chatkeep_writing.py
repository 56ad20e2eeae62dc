"""Writes conversations in the service's own format."""

import json

from chatkeep.domain.formats.chatkeep import FORKED_FROM, SOURCE
from chatkeep.domain.formats.chatkeep_messages import EXTRAS
from chatkeep.domain.formats.codec import Document, Embed, EntryWriter
from chatkeep.domain.ids import written_id
from chatkeep.domain.items import ItemText
from chatkeep.domain.json_sources import object_sources, write_object
from chatkeep.domain.log import Entry
from chatkeep.domain.model import EMPTY_OBJECT, FIRST_REVISION, Conversation, JsonText, Message
from chatkeep.domain.parts import has_odd_numbers


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
    for name in EXTRAS:
        value = getattr(message, name)
        if value is not None and value is not False:
            document[name] = value
    if item is not None:
        document["item"] = item
    return document


def _without_source(metadata: JsonText) -> tuple[str | None, JsonText]:
    if SOURCE not in metadata:
        return None, metadata
    members = object_sources(metadata)
    source = members.pop(SOURCE, "")
    if not source.startswith('"'):
        return None, metadata
    return json.loads(source), JsonText(write_object(members))
