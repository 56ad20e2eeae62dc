"""Writes originals: what was imported from a format goes back into a file of that format."""

import json
from collections.abc import Sequence
from typing import Any, Final

from chatkeep.domain.formats.codec import Document, Embed, embed_original, without
from chatkeep.domain.json_sources import object_sources
from chatkeep.domain.log import Entry
from chatkeep.domain.model import Conversation, JsonText, Message, OriginalText

_SYSTEM: Final = "system"
_EVERYTHING: Final = frozenset(
    {
        *("id", "created_at", "metadata", "name", "tool_calls", "tool_call_id", "parts"),
        *("tokens", "starts_context", "format", "original", "edited_at"),
    }
)


class OriginalsWriter:
    """Writes each message that has an original of the format as that original.

    A message of the format without an original is part of the one before it. Other messages are
    left out, as are items that are not messages.
    """

    writes_empty = False
    writes_branches = False
    leaves_out = _EVERYTHING
    skips = "messages and items without an original of the format"

    def __init__(self, key: str, messages_in: str) -> None:
        self._key = key
        self.messages_in = messages_in

    def head(self, conversation: Conversation, embed: Embed) -> Document:  # noqa: ARG002 - the interface
        source = _kept(conversation.metadata, "source")
        begin = f"{self._key}#"
        is_own = isinstance(source, str) and source.startswith(begin)
        head: Document = {"id": source.removeprefix(begin)} if is_own else {}
        if conversation.title is not None:
            head["title"] = conversation.title
        return head

    def continues(self, entry: Entry) -> bool:
        message = entry.message
        return message is not None and message.format == self._key and message.original is None

    def write(self, entries: Sequence[Entry], embed: Embed) -> Sequence[object]:
        original = self._original(entries)
        if original is None or _is_of_system(original):
            return ()
        return (embed_original(original, embed), *_find_more(entries[0].message, self._key))

    def members(self, entries: Sequence[Entry], embed: Embed) -> Document:
        original = self._original(entries)
        if original is None or not _is_of_system(original):
            return {}
        return {_SYSTEM: embed_original(original, embed)}

    def _original(self, entries: Sequence[Entry]) -> OriginalText | None:
        message = entries[0].message
        return message.original if message is not None and message.format == self._key else None

    def tail(self, conversation: Conversation, embed: Embed) -> Document:
        if self._key not in conversation.metadata:
            return {}
        kept = object_sources(conversation.metadata).get(self._key, "")
        members = object_sources(kept) if kept.startswith("{") else {}
        found = without(members, self.messages_in, "id", "title")
        return {name: embed(text) for name, text in found.items()}


def _is_of_system(original: OriginalText) -> bool:
    """Return whether an original is the `system` of a document, and no message."""
    return not original.lstrip().startswith("{")


def _find_more(message: Message | None, key: str) -> Sequence[Document]:
    """Return the documents that a message was made of, besides its original."""
    results = None if message is None else _kept(message.metadata, key, "results")
    rest = results[1:] if isinstance(results, list) else ()
    return [{"from": "observation", **each} for each in rest if isinstance(each, dict)]


def _kept(metadata: JsonText, *path: str) -> Any:  # noqa: ANN401 - any JSON
    if path[-1] not in metadata:
        return None
    found = json.loads(metadata)
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found
