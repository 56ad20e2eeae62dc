"""Compares adopted messages with their legacy tables, by count and by checksum."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Final

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.model import Conversation, Message, MessageId, NewMessage, Position
from chatkeep.domain.operations.adoption.json_columns import canonical_json
from chatkeep.domain.operations.adoption.rules import Rules, conversation_of, message_of
from chatkeep.domain.operations.adoption.run import Adopted, Batch, OldTables, Part, Stored, rows_of

SHOWN: Final = 10


class Checksum:
    """A SHA-256 hash of messages, in their order."""

    def __init__(self) -> None:
        self._hash = sha256()

    def add(self, message: NewMessage | Message, *, timed: bool) -> None:
        """Add a message to the hash; with its time only if `timed`."""
        said = (
            message.role.value,
            message.content,
            canonical_json(message.tool_calls),
            message.tool_call_id,
            message.name,
            canonical_json(message.metadata),
            message.created_at.isoformat() if timed and message.created_at else None,
        )
        self._hash.update(repr(said).encode())

    def update(self, other: "Checksum") -> None:
        """Add the digest of another checksum."""
        self._hash.update(str(other).encode())

    def __str__(self) -> str:
        return self._hash.hexdigest()


@dataclass(slots=True)
class Comparison:
    """What was compared. `first` has the legacy ids of the first conversations that differ.

    It covers the messages that were adopted and not deleted since, in the order of the legacy
    tables. Messages that a later run added come after those of earlier runs.
    """

    conversations: int = 0
    old_messages: int = 0
    new_messages: int = 0
    old_checksum: Checksum = field(default_factory=Checksum)
    new_checksum: Checksum = field(default_factory=Checksum)
    differing: int = 0
    first: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Chain:
    """The messages of one conversation that one run adopted, on both sides."""

    old: Checksum = field(default_factory=Checksum)
    new: Checksum = field(default_factory=Checksum)
    last: int = 0


@dataclass(slots=True)
class _Open:
    """A conversation being compared. Without `conversation` there is nothing to compare."""

    conversation: Conversation | None
    is_sound: bool = True
    chains: dict[datetime, _Chain] = field(default_factory=dict)


@dataclass(slots=True)
class Check:
    """Compares legacy tables and target after `run` has adopted. Changes nothing."""

    source: OldTables
    target: Adopted
    rules: Rules
    run: datetime
    advance: Callable[[int], object]
    found: Comparison = field(default_factory=Comparison)
    _open: _Open | None = None

    async def compare(self) -> Comparison:
        async for batch in self.source.batches():
            opened = list(self._opened(batch))
            await self._look_up(batch, opened)
            await self._compare(batch, opened)
            for part, here in zip(batch, opened, strict=True):
                if part.last and here.conversation is not None:
                    self._close(part.old.id, here)
            self.advance(rows_of(batch))
        return self.found

    def _opened(self, batch: Batch) -> Iterator[_Open]:
        for part in batch:
            if part.first or self._open is None:
                try:
                    conversation = conversation_of(part.old, self.rules, self.run)
                except InvalidValueError:
                    conversation = None
                self._open = _Open(conversation)
            yield self._open

    async def _look_up(self, batch: Batch, opened: Sequence[_Open]) -> None:
        """Skip conversations that were deleted since; those that this run adopted must exist."""
        first = [
            (here, here.conversation)
            for part, here in zip(batch, opened, strict=True)
            if part.first and here.conversation is not None
        ]
        there = await self.target.last_positions([each for _, each in first], lock=False)
        known = await self.target.remembered([each.id for _, each in first])
        for here, conversation in first:
            if conversation.id not in there:
                if known.get(conversation.id, self.run) == self.run:
                    here.is_sound = False
                else:
                    here.conversation = None

    async def _compare(self, batch: Batch, opened: Sequence[_Open]) -> None:
        read = [
            (here, here.conversation, self._messages(part, here.conversation))
            for part, here in zip(batch, opened, strict=True)
            if here.conversation is not None
        ]
        keys = [(id_, owner.user_id) for _, owner, messages in read for id_ in messages]
        stored = await self.target.stored(keys)
        known = await self.target.remembered([id_ for id_, _ in keys if id_ not in stored])
        for here, _, messages in read:
            absent = [id_ for id_ in messages if id_ not in stored]
            if any(known.get(id_, self.run) == self.run for id_ in absent):
                here.is_sound = False
            self.found.old_messages += sum(known.get(id_) == self.run for id_ in absent)
            self._count(here, messages, stored)

    def _messages(self, part: Part, conversation: Conversation) -> dict[MessageId, NewMessage]:
        """Convert the rows, without those that are refused."""
        messages = {}
        for old in part.messages:
            try:
                new = message_of(old, conversation.user_id, self.rules)
            except InvalidValueError:
                continue
            if new.id is not None:
                messages[new.id] = new
        return messages

    def _count(
        self,
        here: _Open,
        messages: Mapping[MessageId, NewMessage],
        stored: Mapping[MessageId, Stored],
    ) -> None:
        found: list[tuple[Position, MessageId, _Chain]] = []
        for id_, new in messages.items():
            there = stored.get(id_)
            if there is None or there.run is None:  # deleted since, or another message with this id
                continue
            chain = here.chains.setdefault(there.run, _Chain())
            chain.old.add(new, timed=new.created_at is not None)
            self.found.old_messages += 1
            if here.conversation and there.message.conversation_id == here.conversation.id:
                found.append((there.message.position, id_, chain))
        for position, id_, chain in sorted(found, key=lambda each: each[0]):
            timed = messages[id_].created_at is not None
            chain.new.add(stored[id_].message, timed=timed)
            self.found.new_messages += 1
            here.is_sound &= position > chain.last
            chain.last = position

    def _close(self, old_id: str, here: _Open) -> None:
        self.found.conversations += 1
        for _, chain in sorted(here.chains.items()):
            here.is_sound &= str(chain.old) == str(chain.new)
            self.found.old_checksum.update(chain.old)
            self.found.new_checksum.update(chain.new)
        if not here.is_sound:
            self.found.differing += 1
            if len(self.found.first) < SHOWN:
                self.found.first.append(old_id)
