"""Adopting conversations: reads them from legacy tables and writes them to chatkeep's.

The ids of adopted rows are recorded, so that another run adds only new rows and does not restore
what was deleted since.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.model import (
    FIRST_POSITION,
    Conversation,
    Message,
    MessageId,
    NewMessage,
    Position,
    UserId,
    microseconds,
)
from chatkeep.domain.operations.adoption.layout import AdoptionError, Entity
from chatkeep.domain.operations.adoption.ports import (
    Addition,
    AdoptionTarget,
    Batch,
    LegacyTables,
    count_rows,
)
from chatkeep.domain.operations.adoption.rules import (
    AdoptionRules,
    LegacyConversation,
    LegacyMessage,
    to_conversation,
    to_new_message,
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that cannot be adopted, by its legacy id."""

    entity: Entity
    id: str
    reason: str

    def __str__(self) -> str:
        return f"{self.entity}: {self.id}: {self.reason}"


@dataclass(slots=True)
class AdoptionCounts:
    """The outcome of each row, counted once.

    `new`: adopted by this run. `there`: adopted before. `joined`: conversations that existed, but
    were not adopted before. `gone`: adopted before and deleted since, and messages added to such a
    conversation. `left`: left behind because of their status. `unowned`: messages of conversations
    that were refused or left behind. `refused`: cannot be stored. `users` is the number of new
    users.
    """

    conversations: Counter[str] = field(default_factory=Counter)
    messages: Counter[str] = field(default_factory=Counter)
    users: int = 0

    def count(self, entity: Entity, outcome: str, rows: int = 1) -> None:
        counter = self.conversations if entity == "conversations" else self.messages
        counter[outcome] += rows


@dataclass(slots=True)
class _OpenConversation:
    """A conversation whose messages are being read.

    Without `conversation` they are skipped, and counted as `outcome`.
    """

    conversation: Conversation | None
    outcome: str = ""
    is_new: bool = False
    last: int = 0
    latest: datetime | None = None


@dataclass(slots=True)
class Adoption:
    """One run.

    `on_refusal` is called for each row that is refused; it may raise to stop the run. `on_adopted`
    is called with the legacy and the new id of each row that exists here after the run. `advance`
    is called with a number of rows that were read.
    """

    source: LegacyTables
    target: AdoptionTarget
    rules: AdoptionRules
    run: datetime
    on_refusal: Callable[[Refusal], None]
    on_adopted: Callable[[Entity, str, UUID], None]
    advance: Callable[[int], object]
    counts: AdoptionCounts = field(default_factory=AdoptionCounts)
    _open: _OpenConversation | None = None

    async def adopt(self) -> AdoptionCounts:
        """Adopt new rows, a batch of conversations at a time, each completely or not at all.

        Raises `AdoptionError` and what `on_refusal` raises. Batches that were adopted by then stay,
        and another run continues from there.
        """
        batches = self.source.batches()
        async for batch in batches:
            read = count_rows(batch)
            async with self.target.transaction():
                await self._adopt_batch(batch)
                while not batch[-1].is_last:
                    batch = await anext(batches)  # noqa: PLW2901 - the rest of a long conversation
                    read += count_rows(batch)
                    await self._adopt_batch(batch)
            self.advance(read)
        return self.counts

    async def preview(self) -> AdoptionCounts:
        """Count what `adopt` would do; change nothing."""
        async for batch in self.source.batches():
            await self._plan_batch(batch, lock=False)
            self.advance(count_rows(batch))
        return self.counts

    async def _adopt_batch(self, batch: Batch) -> None:
        additions, ids = await self._plan_batch(batch, lock=True)
        if additions or ids:
            self.counts.users += await self.target.add(additions, ids, self.run)

    async def _plan_batch(self, batch: Batch, *, lock: bool) -> tuple[list[Addition], list[UUID]]:
        """Return what to add, and the ids to record."""
        opened, ids = await self._open_conversations(batch, lock=lock)
        read = [
            (current, row, self._convert_message(row, current.conversation))
            for current, part in zip(opened, batch, strict=True)
            for row in part.messages
            if current.conversation is not None
        ]
        messages = [(current, row, new) for current, row, new in read if new is not None]
        keys = [_key(current, new) for current, _, new in messages]
        adopted = await self.target.find_adopted([id_ for id_, _ in keys])
        stored = await self.target.find_messages(keys)
        added: dict[int, list[NewMessage]] = {}
        for current, row, new in messages:
            current.latest = new.created_at or current.latest
            id_, _ = _key(current, new)
            existing = stored.get(id_)
            if id_ in adopted:
                self.counts.count("messages", "there" if existing else "gone")
            elif existing is not None:
                if not _is_same(new, existing.message, current):
                    self._refuse(
                        "messages", row.id, f"{id_} is already another message of this user"
                    )
                    continue
                self.counts.count("messages", "there")
                ids.append(id_)
            else:
                self.counts.count("messages", "new")
                ids.append(id_)
                added.setdefault(id(current), []).append(new._replace(created_at=current.latest))
            if existing is not None or id_ not in adopted:
                self.on_adopted("messages", row.id, id_)
        additions = [
            self._make_addition(current, added.get(id(current), []), is_first=part.is_first)
            for current, part in zip(opened, batch, strict=True)
            if current.conversation is not None
            and (added.get(id(current)) or (current.is_new and part.is_first))
        ]
        return additions, ids

    async def _open_conversations(
        self, batch: Batch, *, lock: bool
    ) -> tuple[list[_OpenConversation], list[UUID]]:
        """Return the conversation of each part, and the ids of conversations to record."""
        found = []
        for part in batch:
            if part.is_first or self._open is None:
                self._open = self._convert_conversation(part.row)
            found.append(self._open)
        first = [
            (current, part.row)
            for current, part in zip(found, batch, strict=True)
            if part.is_first and current.conversation is not None
        ]
        conversations = [
            current.conversation for current, _ in first if current.conversation is not None
        ]
        adopted = await self.target.find_adopted([each.id for each in conversations])
        last_positions = await self.target.last_positions(conversations, lock=lock)
        ids: list[UUID] = []
        for (current, row), conversation in zip(first, conversations, strict=True):
            last = last_positions.get(conversation.id)
            if last is None and conversation.id in adopted:
                current.conversation, current.outcome = None, "gone"
                self.counts.count("conversations", "gone")
                continue
            current.is_new = last is None
            current.last = last or 0
            current.latest = conversation.created_at
            if conversation.id not in adopted:
                ids.append(conversation.id)
            outcome = (
                "new" if current.is_new else "there" if conversation.id in adopted else "joined"
            )
            self.counts.count("conversations", outcome)
            self.on_adopted("conversations", row.id, conversation.id)
        for current, part in zip(found, batch, strict=True):
            if current.conversation is None and part.messages:
                self.counts.count("messages", current.outcome, len(part.messages))
        return found, ids

    def _convert_conversation(self, row: LegacyConversation) -> _OpenConversation:
        try:
            conversation = to_conversation(row, self.rules, self.run)
        except InvalidValueError as error:
            self._refuse("conversations", row.id, str(error))
            return _OpenConversation(None, "unowned")
        if conversation is None:
            self.counts.count("conversations", "left")
            return _OpenConversation(None, "unowned")
        return _OpenConversation(conversation)

    def _convert_message(
        self, row: LegacyMessage, conversation: Conversation | None
    ) -> NewMessage | None:
        assert conversation is not None  # noqa: S101 - for the type; others are skipped before
        try:
            return to_new_message(row, conversation.user_id, self.rules)
        except InvalidValueError as error:
            self._refuse("messages", row.id, str(error))
            return None

    def _refuse(self, entity: Entity, legacy_id: str, reason: str) -> None:
        self.counts.count(entity, "refused")
        self.on_refusal(Refusal(entity, legacy_id, reason))

    def _make_addition(
        self, current: _OpenConversation, messages: Sequence[NewMessage], *, is_first: bool
    ) -> Addition:
        conversation = current.conversation
        assert conversation is not None  # noqa: S101 - for the type
        clock = conversation.updated_at if current.is_new else self.run
        position = Position(max(FIRST_POSITION, microseconds(clock), current.last + 1))
        current.last = position + len(messages) - 1 if messages else current.last
        if not current.is_new and messages:
            latest = max(m.created_at for m in messages if m.created_at is not None)
            conversation = conversation._replace(updated_at=latest)
        return Addition(conversation, current.is_new and is_first, messages, position)


def _key(current: _OpenConversation, new: NewMessage) -> tuple[MessageId, UserId]:
    if current.conversation is None or new.id is None:
        raise AdoptionError("a message has an id and a conversation before it is stored")
    return new.id, current.conversation.user_id


def _is_same(new: NewMessage, stored: Message, current: _OpenConversation) -> bool:
    return (
        current.conversation is not None
        and stored.conversation_id == current.conversation.id
        and new.equals(stored)
    )
