"""Shared by writers of trees: formats in which each message names the one before it.

ChatGPT and Claude.ai export conversations like that. A message that came from such an export is
written as its original. If messages around it are new or gone, what it says of them is corrected.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from chatkeep.domain.formats.codec import Document, Embed
from chatkeep.domain.formats.links import EndsOf, Links
from chatkeep.domain.log import Entry
from chatkeep.domain.model import EMPTY_OBJECT, Conversation, JsonText, Message, Role
from chatkeep.domain.parts import TEXTS, split_parts

Named = tuple[str, object]
"""A document with its name in the file."""

SOURCE: Final = "source"
_RARE: Final = ("tokens", "edited_at")


class TreeWriter(Protocol):
    """Writes one conversation with all its branches; its entries come in order.

    The document has the documents that `add` and `rest` return, and then the members of `tail`.
    `left_out` counts what has no place in the format.
    """

    left_out: Counter[str]

    def add(self, entry: Entry) -> Iterable[Named]: ...

    def rest(self) -> Iterable[Named]: ...

    def tail(self) -> Document: ...


class MakeTreeWriter(Protocol):
    def __call__(self, conversation: Conversation, links: Links, embed: Embed) -> TreeWriter: ...


@dataclass(frozen=True, slots=True)
class TreeFormat:
    """A format of trees. `by_name` tells whether the documents are members of an object."""

    make: MakeTreeWriter
    ends_of: EndsOf
    documents_in: str
    by_name: bool


def kept_under(metadata: JsonText, key: str) -> Document:
    """Return what an import kept in metadata under the name of its format."""
    if metadata == EMPTY_OBJECT or key not in metadata:
        return {}
    return member_object(json.loads(metadata), key)


def member_object(document: Mapping[str, Any], name: str) -> Document:
    found = document.get(name)
    return found if isinstance(found, dict) else {}


def read_source(conversation: Conversation, key: str) -> str | None:
    """Return the id that the conversation has in the export that it was imported from."""
    if SOURCE not in conversation.metadata:
        return None
    source = json.loads(conversation.metadata).get(SOURCE)
    if not isinstance(source, str) or not source.startswith(f"{key}#"):
        return None
    return source.removeprefix(f"{key}#")


def count_conversation(left_out: Counter[str], conversation: Conversation, key: str) -> None:
    """Count what of a conversation has no place in exports of other services."""
    if conversation.metadata != EMPTY_OBJECT and json.loads(conversation.metadata).keys() - {
        key,
        SOURCE,
    }:
        left_out["conversation: metadata"] += 1
    if conversation.retain:
        left_out["conversation: retain"] += 1


def count_message(left_out: Counter[str], message: Message, key: str) -> None:
    """Count the fields of a message that have no place, whether it is an original or not."""
    if message.metadata != EMPTY_OBJECT and json.loads(message.metadata).keys() - {key}:
        left_out["metadata"] += 1
    for name in _RARE:
        if getattr(message, name) is not None:
            left_out[name] += 1
    if message.starts_context:
        left_out["starts_context"] += 1


def count_translated(left_out: Counter[str], message: Message) -> None:
    """Count what of a message has no place in its translation."""
    if message.original is not None:
        left_out["original"] += 1
    if message.name is not None and message.role is not Role.TOOL:
        left_out["name"] += 1
    for part in () if message.parts is None else split_parts(message.parts):
        if part.kind not in TEXTS:
            left_out[f"part {part.kind[:50]}"] += 1
