"""Search: what is found, in which order, and what a query is compared with."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple, Protocol

from chatkeep.domain.items import ItemId, ItemText
from chatkeep.domain.log import Entry
from chatkeep.domain.model import (
    BranchNumber,
    Conversation,
    ConversationId,
    JsonText,
    Message,
    MessageId,
    Position,
    Role,
    Status,
    microseconds,
)
from chatkeep.domain.searched_item import searched_item
from chatkeep.domain.searched_text import searched_text

MAX_READ: Final = 10_000
"""About how many messages a call compares with the query."""

_FILE: Final = re.compile(r'"type":"(?:image_url|input_audio|file)"')


class SearchPlace(NamedTuple):
    """The place of a hit in the order of results, in which the greatest comes first.

    The position of a title is the time of its conversation's last activity, in microseconds.
    """

    position: Position
    conversation_id: ConversationId
    is_title: bool


class Searched(NamedTuple):
    """A message, an item or a title as a query sees it. Messages alone have a `role`."""

    text: str
    conversation_id: ConversationId
    title: str
    status: Status
    created_at: datetime
    role: Role | None = None
    has_tool: bool = False
    has_file: bool = False
    is_title: bool = False


class FoundMessage(NamedTuple):
    """A message that was found. `text` is the part of its text that was searched."""

    id: MessageId
    position: Position
    role: Role
    created_at: datetime
    text: str


class FoundItem(NamedTuple):
    """An item of OpenAI's API, not a message, that was found. `kind` is its type."""

    id: ItemId
    kind: str
    position: Position
    created_at: datetime
    text: str


@dataclass(frozen=True, slots=True)
class Hit:
    """A message or an item that matches, or a conversation whose title does: then both are None.

    `branch` is the conversation's current branch, None if it never branched.
    """

    place: SearchPlace
    conversation_id: ConversationId
    title: str | None
    branch: BranchNumber | None
    message: FoundMessage | None
    item: FoundItem | None = None

    @property
    def text(self) -> str:
        """The text that was searched."""
        found = self.message or self.item
        return (self.title or "") if found is None else found.text


@dataclass(frozen=True, slots=True)
class Left:
    """The number of conversations, and of their messages, that are not in the index yet."""

    conversations: int = 0
    messages: int = 0


@dataclass(frozen=True, slots=True)
class SearchFound:
    """Hits in order. `next` is where to go on; None if there are no more.

    A store that stops after reading many messages returns few or none, and `next`.
    """

    hits: Sequence[Hit]
    next: SearchPlace | None
    left: Left


class Wanted(Protocol):
    """A query, for a store to compare messages and titles with."""

    @property
    def within(self) -> ConversationId | None:
        """The only conversation to search, if the query names one."""
        ...

    @property
    def clauses(self) -> Sequence[frozenset[str]]:
        """Sets of keys (`domain.search_index`): what matches has at least one key of each set."""
        ...

    @property
    def title_clauses(self) -> Sequence[frozenset[str]]:
        """The same for titles."""
        ...

    @property
    def patterns(self) -> Sequence[str]:
        """Patterns (`domain.search_patterns`) that the content has of a message that matches.

        They say nothing of messages with calls of tools.
        """
        ...

    @property
    def only_titles(self) -> bool:
        """True if no message can match."""
        ...

    def matches(self, searched: Searched) -> bool: ...


def place_of_title(conversation: Conversation) -> SearchPlace:
    return SearchPlace(microseconds(conversation.updated_at), conversation.id, is_title=True)


def has_file(parts: JsonText | None) -> bool:
    """Return whether content parts have an image, a sound or a file."""
    return parts is not None and _FILE.search(parts) is not None


def searched_message(message: Message, conversation: Conversation) -> Searched:
    return Searched(
        text=searched_text(message.content, message.tool_calls),
        conversation_id=conversation.id,
        title=conversation.title or "",
        status=conversation.status,
        created_at=message.created_at,
        role=message.role,
        has_tool=message.tool_calls is not None or message.role is Role.TOOL,
        has_file=has_file(message.parts),
    )


def searched_item_in(conversation: Conversation, entry: Entry) -> tuple[Searched, FoundItem]:
    """Return what a query sees of an entry without a message, and what a hit says of it."""
    item = searched_item(entry.item or ItemText(""))
    searched = Searched(
        text=item.text,
        conversation_id=conversation.id,
        title=conversation.title or "",
        status=conversation.status,
        created_at=entry.created_at,
        has_tool=item.is_of_tool,
        has_file=item.has_file,
    )
    item_id = entry.item_id or ItemId("")
    return searched, FoundItem(item_id, item.kind, entry.position, entry.created_at, item.text)


def searched_title(conversation: Conversation) -> Searched:
    return Searched(
        text=conversation.title or "",
        conversation_id=conversation.id,
        title=conversation.title or "",
        status=conversation.status,
        created_at=conversation.updated_at,
        is_title=True,
    )
