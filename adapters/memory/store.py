"""The data of the memory adapters. It is grouped by user, so that no call reaches another user."""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import accumulate, takewhile
from operator import attrgetter
from typing import Final, NamedTuple
from uuid import UUID

from chatkeep.domain.audit import AuditLine
from chatkeep.domain.branches import EVERY, MAIN, Tree
from chatkeep.domain.drafts import FIRST_CHUNK, Chunk, Draft, size_of_chunk
from chatkeep.domain.errors import (
    ConversationNotFoundError,
    KeyTakenError,
    MessageIdTakenError,
    MessageNotFoundError,
    RetainedError,
    UserNotProvisionedError,
)
from chatkeep.domain.events import EventKind
from chatkeep.domain.examination import Examination
from chatkeep.domain.log import Entry, NewEntry, RequestKey, View, apply_view, messages_in
from chatkeep.domain.model import (
    BranchNumber,
    Conversation,
    ConversationId,
    Message,
    MessageId,
    Position,
    UserId,
    is_opening,
    microseconds,
)
from chatkeep.domain.pages import count_fitting
from chatkeep.domain.ranges import Range
from chatkeep.domain.revisions import check_revision
from chatkeep.domain.window import (
    MAX_HEAD,
    MOST_COUNTED,
    Start,
    Window,
    for_window,
    latest_start,
)

by_position: Final = attrgetter("position")


def size(*texts: str | None) -> int:
    """Return the size of texts in bytes."""
    return sum(len(text.encode()) for text in texts if text is not None)


def size_of_message(message: Message) -> int:
    return size(
        message.content, message.tool_calls, message.metadata, message.parts, message.original
    )


@dataclass(slots=True)
class KeptConversation:
    """A conversation with its entries, in order of position."""

    conversation: Conversation
    entries: list[Entry] = field(default_factory=list)
    last_position: int = 0
    """The highest position so far: that of a deleted entry is not used again."""

    keys: dict[str, tuple[RequestKey, Position, Position]] = field(default_factory=dict)
    """Idempotency keys, each with the first and the last position of its request."""

    branches: Tree | None = None
    """Its branches; None if it never branched."""

    drafts: dict[Position, "KeptDraft"] = field(default_factory=dict)
    """Its drafts by number."""

    @property
    def tree(self) -> Tree:
        last = Position(self.last_position)
        if self.branches is None:
            tree = Tree.linear(last, self.conversation.created_at)
        else:
            tree = replace(self.branches, last_position=last)
        return replace(tree, revision=self.conversation.revision)

    def set_branches(self, tree: Tree) -> None:
        self.branches = tree
        self.conversation = self.conversation._replace(branch=tree.current)

    def path(self, branch: BranchNumber | None) -> list[Entry]:
        """Return the entries on the path of a branch: None is the current one, `EVERY` all."""
        if branch == EVERY or (self.branches is None and branch in {None, MAIN}):
            return self.entries
        tree = self.tree
        return self.within(tree.path(tree.current if branch is None else branch))

    def within(self, ranges: Sequence[Range]) -> list[Entry]:
        return [
            entry
            for first, last in ranges
            for entry in self.entries[
                bisect_left(self.entries, first, key=by_position) : bisect_right(
                    self.entries, last, key=by_position
                )
            ]
        ]

    @property
    def messages(self) -> tuple[Message, ...]:
        return messages_in(self.entries)

    def append(self, new: Sequence[NewEntry], at: datetime) -> tuple[Entry, ...]:
        first = max(microseconds(at), self.last_position + 1)
        stored = tuple(
            entry.to_entry(self.conversation.id, Position(position), at)
            for position, entry in enumerate(new, first)
        )
        self.entries += stored
        if stored:
            self.last_position = stored[-1].position
        self.conversation = self.conversation._replace(
            message_count=self.conversation.message_count + len(messages_in(stored)),
            updated_at=max(at, self.conversation.updated_at),
        )
        self.raise_revision()
        return stored

    def raise_revision(self, before: int | None = None) -> None:
        """Raise the revision by one; `before` is what it was before a change in several steps."""
        before = self.conversation.revision if before is None else before
        self.conversation = self.conversation._replace(revision=before + 1)

    def remember(self, key: RequestKey, stored: Sequence[Entry]) -> None:
        first = stored[0].position if stored else Position(self.last_position + 1)
        self.keys[key.key] = (key, first, Position(first + len(stored) - 1))

    def left_of(self, key: RequestKey, view: View) -> tuple[Entry, ...]:
        """Return the entries that are left of the request with that key. Raises `KeyTakenError`."""
        found = self.keys.get(key.key)
        if found is None or found[0] != key:
            raise KeyTakenError(key.key)
        _, first, last = found
        there = [entry for entry in self.entries if first <= entry.position <= last]
        return tuple(apply_view(there, view))

    def check_deletable(self) -> None:
        """Raise `RetainedError` if the conversation is on hold."""
        if self.conversation.retain:
            raise RetainedError(self.conversation.id)

    def at(self, position: Position) -> Entry | None:
        index = bisect_left(self.entries, position, key=by_position)
        found = self.entries[index : index + 1]
        return found[0] if found and found[0].position == position else None

    def remove(self, entry: Entry) -> None:
        del self.entries[bisect_left(self.entries, entry.position, key=by_position)]
        self.conversation = self.conversation._replace(
            message_count=self.conversation.message_count - (entry.message is not None)
        )
        self.raise_revision()

    def window(self, limit: int, max_bytes: int, branch: BranchNumber | None = None) -> Window:
        half = max_bytes // 2
        messages = messages_in(self.path(branch))
        latest = tuple(map(for_window, messages[-limit - 1 :]))
        fitting = count_fitting(map(size_of_message, reversed(latest[-limit:])), half)
        start, at = None, latest_start(messages)
        own = []
        if at is not None:
            own = [for_window(messages[at])]
            is_apart = at + 1 < len(messages) - fitting
            start = Start(own[0], min(at, MOST_COUNTED), is_apart)
        opening = tuple(map(for_window, takewhile(is_opening, messages[:MAX_HEAD])))
        first = count_fitting(map(size_of_message, (*own, *opening)), half, least=len(own))
        opening = opening[: first - len(own)]
        if self.branches is None:
            return Window.of(
                opening,
                latest,
                limit=fitting,
                message_count=len(messages),
                revision=self.conversation.revision,
                start=start,
            )
        return Window.of_branch(
            opening,
            latest[-fitting:],
            before=latest[-fitting - 1].position if len(latest) > fitting else None,
            revision=self.conversation.revision,
            start=start,
        )


class KeptChange(NamedTuple):
    """A change that readers of events learn about; the message that it concerns, if any."""

    conversation_id: ConversationId
    revision: int
    number: int
    kind: EventKind
    message_id: MessageId | None
    at: datetime


@dataclass(slots=True)
class KeptDraft:
    """A draft with its chunks, in order."""

    draft: Draft
    chunks: list[str] = field(default_factory=list)

    def after(self, seq: int, max_bytes: int) -> list[Chunk]:
        """Return the chunks after the one with this number: those that begin within the bytes."""
        start = max(seq, FIRST_CHUNK - 1)
        texts = self.chunks[start:]
        before = accumulate(map(size_of_chunk, texts), initial=0)
        return [
            Chunk(number, text)
            for (number, text), size in zip(enumerate(texts, start + 1), before, strict=False)
            if size == 0 or size < max_bytes
        ]


@dataclass(slots=True)
class KeptUser:
    """The data of one user. `messages` are those of all their conversations."""

    conversations: dict[ConversationId, KeptConversation] = field(default_factory=dict)
    messages: dict[MessageId, Message] = field(default_factory=dict)
    changes: list[KeptChange] = field(default_factory=list)
    """In order of time; of one conversation, in order of revision."""

    def note(
        self, kept: KeptConversation, kind: EventKind, message_ids: Sequence[MessageId] = ()
    ) -> None:
        """Note what the current revision of a conversation has changed."""
        now, at = kept.conversation, datetime.now(UTC)
        some: Sequence[MessageId | None] = message_ids or [None]
        first = 1 if kind is EventKind.MESSAGE_DELETED else 0
        self.changes += [
            KeptChange(now.id, now.revision, number, kind, each, at)
            for number, each in enumerate(some, first)
        ]

    def note_deleted(self, kept: KeptConversation, gone: Sequence[Entry]) -> None:
        """Note the deletion of messages, except for those that are there again."""
        ids = [each.id for each in messages_in(gone) if each.id not in self.messages]
        if ids:
            self.note(kept, EventKind.MESSAGE_DELETED, ids)

    def append(
        self,
        kept: KeptConversation,
        new: Sequence[NewEntry],
        at: datetime,
        expected: int | None = None,
    ) -> tuple[Entry, ...]:
        """Add entries to a conversation of the user, all or none.

        Raises `MessageIdTakenError`, `RevisionConflictError`.
        """
        self.check_free(new)
        check_revision(kept.conversation, expected)
        stored = kept.append(new, at)
        self.messages.update((message.id, message) for message in messages_in(stored))
        return stored

    def check_free(self, new: Sequence[NewEntry], *, but: Collection[MessageId] = ()) -> None:
        """Raise `MessageIdTakenError` if a message, except for those of `but`, has an id of `new`.

        Also for an id that is twice in `new`.
        """
        ids = set[MessageId]()
        for entry in new:
            if entry.message is not None and entry.message.id is not None:
                is_taken = entry.message.id in self.messages and entry.message.id not in but
                if is_taken or entry.message.id in ids:
                    raise MessageIdTakenError(entry.message.id)
                ids.add(entry.message.id)

    def message(self, conversation_id: ConversationId, message_id: MessageId) -> Message:
        """Return the message, or raise `MessageNotFoundError`."""
        message = self.messages.get(message_id)
        if message is None or message.conversation_id != conversation_id:
            raise MessageNotFoundError(message_id)
        return message

    def remove(self, kept: KeptConversation, entry: Entry, expected: int | None = None) -> None:
        """Delete an entry of a conversation of the user.

        Raises `RetainedError`, `RevisionConflictError`.
        """
        kept.check_deletable()
        check_revision(kept.conversation, expected)
        kept.remove(entry)
        if entry.message is not None:
            del self.messages[entry.message.id]

    def rewrite(self, kept: KeptConversation, entry: Entry, expected: int | None = None) -> None:
        """Put an entry in the place of the one at its position.

        Raises `RetainedError`, `RevisionConflictError`.
        """
        kept.check_deletable()
        check_revision(kept.conversation, expected)
        kept.raise_revision()
        kept.entries[bisect_left(kept.entries, entry.position, key=by_position)] = entry
        if entry.message is not None:
            self.messages[entry.message.id] = entry.message
            self.note(kept, EventKind.MESSAGE_UPDATED, [entry.message.id])

    def remove_all(
        self, kept: KeptConversation, gone: Sequence[Entry], expected: int | None = None
    ) -> Sequence[Entry]:
        """Delete entries of a conversation, and return them.

        Raises `RetainedError` and `RevisionConflictError`, unless there are none.
        """
        gone = [*gone]
        if gone:
            kept.check_deletable()
            check_revision(kept.conversation, expected)
        for entry in reversed(gone):
            self.remove(kept, entry)
        return gone

    def drop(self, conversation_id: ConversationId) -> KeptConversation:
        """Delete a conversation with all its entries, and return it."""
        kept = self.conversations.pop(conversation_id)
        for message in kept.messages:
            del self.messages[message.id]
        kept.raise_revision()
        self.changes = [each for each in self.changes if each.conversation_id != conversation_id]
        self.note(kept, EventKind.CONVERSATION_DELETED)
        return kept


@dataclass(slots=True)
class MemoryStore:
    """The data of all users. Share one object among all adapters of this package."""

    users: dict[UserId, KeptUser] = field(default_factory=dict)
    audit: dict[tuple[UUID, UserId], AuditLine] = field(default_factory=dict)
    examination: Examination | None = None

    def user(self, user_id: UserId) -> KeptUser:
        """Return the user's data; for an unknown user an empty object that is not stored."""
        return self.users.get(user_id) or KeptUser()

    def owner(self, user_id: UserId, *, provision: bool) -> KeptUser:
        """Return the user's data, to add something to it.

        Raises `UserNotProvisionedError`.
        """
        if not provision and user_id not in self.users:
            raise UserNotProvisionedError(user_id, "add them to the store first.")
        return self.user(user_id)

    def conversation(self, user_id: UserId, conversation_id: ConversationId) -> KeptConversation:
        """Return the conversation, or raise `ConversationNotFoundError`."""
        kept = self.user(user_id).conversations.get(conversation_id)
        if kept is None:
            raise ConversationNotFoundError(conversation_id)
        return kept
