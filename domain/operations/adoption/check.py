"""Compares adopted messages with their legacy tables, by count and by checksum."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.model import AUTHORED, Conversation, Message, MessageId, NewMessage, Position
from chatkeep.domain.operations.adoption.json_columns import canonical_json
from chatkeep.domain.operations.adoption.ports import (
    AdoptionTarget,
    Batch,
    ConversationPart,
    LegacyTables,
    StoredMessage,
    count_rows,
)
from chatkeep.domain.operations.adoption.rules import AdoptionRules, to_conversation, to_new_message

SHOWN: Final = 10
_DOCUMENTS: Final = frozenset({"tool_calls", "metadata"})


class Checksum:
    """A SHA-256 hash of messages, in their order."""

    def __init__(self) -> None:
        self._hash = sha256()

    def add(self, message: NewMessage | Message, *, timed: bool) -> None:
        """Add a message to the hash; with its time only if `timed`."""
        at = message.created_at.isoformat() if timed and message.created_at else None
        values = [_comparable(field, getattr(message, field)) for field in AUTHORED]
        self._hash.update(repr((*values, at)).encode())

    def update(self, other: "Checksum") -> None:
        """Add the digest of another checksum."""
        self._hash.update(str(other).encode())

    def __str__(self) -> str:
        return self._hash.hexdigest()


@dataclass(slots=True)
class Comparison:
    """The result of a comparison. `first_differing` has the legacy ids of some that differ.

    It covers the messages that were adopted and not deleted since, in the order of the legacy
    tables. Messages that a later run added come after those of earlier runs.
    """

    conversations: int = 0
    source_messages: int = 0
    target_messages: int = 0
    source_checksum: Checksum = field(default_factory=Checksum)
    target_checksum: Checksum = field(default_factory=Checksum)
    differing: int = 0
    first_differing: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _RunMessages:
    """The messages of one conversation that one run adopted, on both sides."""

    source: Checksum = field(default_factory=Checksum)
    target: Checksum = field(default_factory=Checksum)
    last: int = 0


@dataclass(slots=True)
class _ComparedConversation:
    """A conversation being compared. Without `conversation` there is nothing to compare."""

    conversation: Conversation | None
    is_sound: bool = True
    runs: dict[datetime, _RunMessages] = field(default_factory=dict)


@dataclass(slots=True)
class AdoptionCheck:
    """Compares legacy tables and target after `run` has adopted. Changes nothing."""

    source: LegacyTables
    target: AdoptionTarget
    rules: AdoptionRules
    run: datetime
    advance: Callable[[int], object]
    found: Comparison = field(default_factory=Comparison)
    _open: _ComparedConversation | None = None

    async def compare(self) -> Comparison:
        async for batch in self.source.batches():
            opened = list(self._open_conversations(batch))
            await self._find_conversations(batch, opened)
            await self._compare(batch, opened)
            for part, current in zip(batch, opened, strict=True):
                if part.is_last and current.conversation is not None:
                    self._close(part.row.id, current)
            self.advance(count_rows(batch))
        return self.found

    def _open_conversations(self, batch: Batch) -> Iterator[_ComparedConversation]:
        for part in batch:
            if part.is_first or self._open is None:
                try:
                    conversation = to_conversation(part.row, self.rules, self.run)
                except InvalidValueError:
                    conversation = None
                self._open = _ComparedConversation(conversation)
            yield self._open

    async def _find_conversations(
        self, batch: Batch, opened: Sequence[_ComparedConversation]
    ) -> None:
        """Skip conversations that were deleted since; those that this run adopted must exist."""
        first = [
            (current, current.conversation)
            for part, current in zip(batch, opened, strict=True)
            if part.is_first and current.conversation is not None
        ]
        existing = await self.target.last_positions([each for _, each in first], lock=False)
        adopted = await self.target.find_adopted([each.id for _, each in first])
        for current, conversation in first:
            if conversation.id not in existing:
                if adopted.get(conversation.id, self.run) == self.run:
                    current.is_sound = False
                else:
                    current.conversation = None

    async def _compare(self, batch: Batch, opened: Sequence[_ComparedConversation]) -> None:
        read = [
            (current, current.conversation, self._convert_messages(part, current.conversation))
            for part, current in zip(batch, opened, strict=True)
            if current.conversation is not None
        ]
        keys = [(id_, owner.user_id) for _, owner, messages in read for id_ in messages]
        stored = await self.target.find_messages(keys)
        adopted = await self.target.find_adopted([id_ for id_, _ in keys if id_ not in stored])
        for current, _, messages in read:
            absent = [id_ for id_ in messages if id_ not in stored]
            if any(adopted.get(id_, self.run) == self.run for id_ in absent):
                current.is_sound = False
            self.found.source_messages += sum(adopted.get(id_) == self.run for id_ in absent)
            self._add_messages(current, messages, stored)

    def _convert_messages(
        self, part: ConversationPart, conversation: Conversation
    ) -> dict[MessageId, NewMessage]:
        """Convert the rows, without those that are refused."""
        messages = {}
        for row in part.messages:
            try:
                new = to_new_message(row, conversation.user_id, self.rules)
            except InvalidValueError:
                continue
            if new.id is not None:
                messages[new.id] = new
        return messages

    def _add_messages(
        self,
        current: _ComparedConversation,
        messages: Mapping[MessageId, NewMessage],
        stored: Mapping[MessageId, StoredMessage],
    ) -> None:
        found: list[tuple[Position, MessageId, _RunMessages]] = []
        for id_, new in messages.items():
            existing = stored.get(id_)
            if (
                existing is None or existing.run is None
            ):  # deleted since, or another message with this id
                continue
            of_run = current.runs.setdefault(existing.run, _RunMessages())
            of_run.source.add(new, timed=new.created_at is not None)
            self.found.source_messages += 1
            if current.conversation and existing.message.conversation_id == current.conversation.id:
                found.append((existing.message.position, id_, of_run))
        for position, id_, of_run in sorted(found, key=lambda each: each[0]):
            timed = messages[id_].created_at is not None
            of_run.target.add(stored[id_].message, timed=timed)
            self.found.target_messages += 1
            current.is_sound &= position > of_run.last
            of_run.last = position

    def _close(self, legacy_id: str, current: _ComparedConversation) -> None:
        self.found.conversations += 1
        for _, of_run in sorted(current.runs.items()):
            current.is_sound &= str(of_run.source) == str(of_run.target)
            self.found.source_checksum.update(of_run.source)
            self.found.target_checksum.update(of_run.target)
        if not current.is_sound:
            self.found.differing += 1
            if len(self.found.first_differing) < SHOWN:
                self.found.first_differing.append(legacy_id)


def _comparable(field: str, value: Any) -> object:  # noqa: ANN401 - of any field
    """Return the value of a field, the same for documents that are equal as JSON."""
    return canonical_json(value) if field in _DOCUMENTS else value
