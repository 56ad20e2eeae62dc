"""Adopting conversations: reads them from their old tables and writes them.

What was adopted is remembered by its id, so that running it again adds only what is new, and brings
back nothing that was deleted here since.
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol
from uuid import UUID

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.model import (
    FIRST_POSITION,
    Conversation,
    ConversationId,
    Message,
    MessageId,
    NewMessage,
    Position,
    UserId,
    microseconds,
)
from chatkeep.domain.operations.adoption.layout import AdoptionError, Side
from chatkeep.domain.operations.adoption.rules import (
    OldConversation,
    OldMessage,
    Rules,
    conversation_of,
    message_of,
)
from chatkeep.domain.operations.adoption.tables import Layout, Survey

BATCH_CONVERSATIONS: Final = 200
BATCH_MESSAGES: Final = 500


@dataclass(frozen=True, slots=True)
class Part:
    """A conversation with some of its messages, in order; `first` and `last` of its parts."""

    old: OldConversation
    messages: tuple[OldMessage, ...]
    first: bool
    last: bool


Batch = Sequence[Part]
"""Only the last part of a batch may be without the rest of its conversation."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A message that is there; `run` is the run that adopted it, None if none did."""

    message: Message
    run: datetime | None


@dataclass(frozen=True, slots=True)
class Addition:
    """Messages to add to a conversation, at consecutive positions from `first` on."""

    conversation: Conversation
    is_new: bool
    messages: Sequence[NewMessage]
    first: Position


class OldTables(Protocol):
    async def survey(self) -> Survey:
        """Count what there is. Raises `AdoptionError` for ids that are missing or not unique."""
        ...

    def batches(self) -> AsyncIterator[Batch]:
        """Yield all conversations with their messages, each time as they were at the beginning."""
        ...


class Adopted(Protocol):
    """Chatkeep's own tables, for an operator: over all users."""

    def transaction(self) -> AbstractAsyncContextManager[object]:
        """Return a block: what is done within it happens wholly or not at all."""
        ...

    async def last_positions(
        self, conversations: Sequence[Conversation], *, lock: bool
    ) -> Mapping[ConversationId, Position]:
        """Return the last position ever given away, of those conversations that are there."""
        ...

    async def remembered(self, ids: Sequence[UUID]) -> Mapping[UUID, datetime]:
        """Return those that were adopted before, with the run that did."""
        ...

    async def stored(
        self, messages: Sequence[tuple[MessageId, UserId]]
    ) -> Mapping[MessageId, Stored]:
        """Return those that are there."""
        ...

    async def add(self, additions: Sequence[Addition], ids: Sequence[UUID], run: datetime) -> int:
        """Store the additions, and remember the ids; return how many users are new.

        Raises `AdoptionError` when users does not take them, and when somebody made one of them
        just now.
        """
        ...


@dataclass(frozen=True, slots=True)
class Sides:
    """Both sides of an adoption: the old tables as they are now, and chatkeep's.

    `now` is the time of this run.
    """

    layout: Layout
    source: OldTables
    target: Adopted
    now: datetime


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that was not adopted, by its old id."""

    side: Side
    id: str
    reason: str

    def __str__(self) -> str:
        return f"{self.side}: {self.id}: {self.reason}"


@dataclass(slots=True)
class Tally:
    """How the rows fared; each row is counted once.

    `gone`: adopted before, and deleted here since, with what the old application added to it.
    `left`: left behind by their status; `unowned`: messages of conversations refused or left.
    """

    conversations: Counter[str] = field(default_factory=Counter)
    messages: Counter[str] = field(default_factory=Counter)
    users: int = 0

    def count(self, side: Side, what: str, many: int = 1) -> None:
        counter = self.conversations if side == "conversations" else self.messages
        counter[what] += many


@dataclass(slots=True)
class _Open:
    """A conversation whose messages are being read. Without `conversation` they are skipped."""

    conversation: Conversation | None
    skipped: str = ""
    is_new: bool = False
    last: int = 0
    latest: datetime | None = None


@dataclass(slots=True)
class Adoption:
    """One run. `on_refusal` is told of each row that is refused; it may raise to stop.

    `on_adopted` is told of what is here afterwards: which old id is which new one.
    """

    source: OldTables
    target: Adopted
    rules: Rules
    run: datetime
    on_refusal: Callable[[Refusal], None]
    on_adopted: Callable[[Side, str, UUID], None]
    advance: Callable[[int], object]
    tally: Tally = field(default_factory=Tally)
    _open: _Open | None = None

    async def adopt(self) -> Tally:
        """Adopt what is new, some conversations at a time, each wholly or not at all.

        Raises `AdoptionError` and what `on_refusal` raises: then what was adopted until then stays,
        and running again goes on from there.
        """
        batches = self.source.batches()
        async for batch in batches:
            read = rows_of(batch)
            async with self.target.transaction():
                await self._take(batch)
                while not batch[-1].last:
                    batch = await anext(batches)  # noqa: PLW2901 - the rest of a long conversation
                    read += rows_of(batch)
                    await self._take(batch)
            self.advance(read)
        return self.tally

    async def preview(self) -> Tally:
        """Count what `adopt` would do. Changes nothing."""
        async for batch in self.source.batches():
            await self._plan(batch, lock=False)
            self.advance(rows_of(batch))
        return self.tally

    async def _take(self, batch: Batch) -> None:
        additions, ids = await self._plan(batch, lock=True)
        if additions or ids:
            self.tally.users += await self.target.add(additions, ids, self.run)

    async def _plan(self, batch: Batch, *, lock: bool) -> tuple[list[Addition], list[UUID]]:
        """Return what to add, and what to remember."""
        opened, ids = await self._opened(batch, lock=lock)
        read = [
            (here, old, self._message(old, here.conversation))
            for here, part in zip(opened, batch, strict=True)
            for old in part.messages
            if here.conversation is not None
        ]
        messages = [(here, old, new) for here, old, new in read if new is not None]
        keys = [_key(here, new) for here, _, new in messages]
        known = await self.target.remembered([key for key, _ in keys])
        stored = await self.target.stored(keys)
        added: dict[int, list[NewMessage]] = {}
        for here, old, new in messages:
            here.latest = new.created_at or here.latest
            id_, _ = _key(here, new)
            there = stored.get(id_)
            if id_ in known:
                self.tally.count("messages", "there" if there else "gone")
            elif there is not None:
                if not _is_same(new, there.message, here):
                    self._refuse("messages", old.id, f"{id_} is another message of this user here")
                    continue
                self.tally.count("messages", "there")
                ids.append(id_)
            else:
                self.tally.count("messages", "new")
                ids.append(id_)
                added.setdefault(id(here), []).append(new._replace(created_at=here.latest))
            if there is not None or id_ not in known:
                self.on_adopted("messages", old.id, id_)
        additions = [
            self._addition(here, added.get(id(here), []), first=part.first)
            for here, part in zip(opened, batch, strict=True)
            if here.conversation is not None
            and (added.get(id(here)) or (here.is_new and part.first))
        ]
        return additions, ids

    async def _opened(self, batch: Batch, *, lock: bool) -> tuple[list[_Open], list[UUID]]:
        """Return where each part's messages go, and which conversations to remember."""
        found = []
        for part in batch:
            if part.first or self._open is None:
                self._open = self._conversation(part.old)
            found.append(self._open)
        first = [
            (here, part.old)
            for here, part in zip(found, batch, strict=True)
            if part.first and here.conversation is not None
        ]
        conversations = [here.conversation for here, _ in first if here.conversation is not None]
        known = await self.target.remembered([each.id for each in conversations])
        there = await self.target.last_positions(conversations, lock=lock)
        ids: list[UUID] = []
        for (here, old), conversation in zip(first, conversations, strict=True):
            last = there.get(conversation.id)
            if last is None and conversation.id in known:
                here.conversation, here.skipped = None, "gone"
                self.tally.count("conversations", "gone")
                continue
            here.is_new = last is None
            here.last = last or 0
            here.latest = conversation.created_at
            if conversation.id not in known:
                ids.append(conversation.id)
            what = "new" if here.is_new else "there" if conversation.id in known else "joined"
            self.tally.count("conversations", what)
            self.on_adopted("conversations", old.id, conversation.id)
        for here, part in zip(found, batch, strict=True):
            if here.conversation is None and part.messages:
                self.tally.count("messages", here.skipped, len(part.messages))
        return found, ids

    def _conversation(self, old: OldConversation) -> _Open:
        try:
            conversation = conversation_of(old, self.rules, self.run)
        except InvalidValueError as error:
            self._refuse("conversations", old.id, str(error))
            return _Open(None, "unowned")
        if conversation is None:
            self.tally.count("conversations", "left")
            return _Open(None, "unowned")
        return _Open(conversation)

    def _message(self, old: OldMessage, conversation: Conversation | None) -> NewMessage | None:
        assert conversation is not None  # noqa: S101 - for the type; others were left out
        try:
            return message_of(old, conversation.user_id, self.rules)
        except InvalidValueError as error:
            self._refuse("messages", old.id, str(error))
            return None

    def _refuse(self, side: Side, old: str, reason: str) -> None:
        self.tally.count(side, "refused")
        self.on_refusal(Refusal(side, old, reason))

    def _addition(self, here: _Open, messages: Sequence[NewMessage], *, first: bool) -> Addition:
        conversation = here.conversation
        assert conversation is not None  # noqa: S101 - for the type
        clock = conversation.updated_at if here.is_new else self.run
        position = Position(max(FIRST_POSITION, microseconds(clock), here.last + 1))
        here.last = position + len(messages) - 1 if messages else here.last
        if not here.is_new and messages:
            latest = max(m.created_at for m in messages if m.created_at is not None)
            conversation = conversation._replace(updated_at=latest)
        return Addition(conversation, here.is_new and first, messages, position)


def rows_of(batch: Batch) -> int:
    """Return how many rows of the old tables end with the batch."""
    return sum(part.last + len(part.messages) for part in batch)


def _key(here: _Open, new: NewMessage) -> tuple[MessageId, UserId]:
    if here.conversation is None or new.id is None:
        raise AdoptionError("a message is read within its conversation, and has an id")
    return new.id, here.conversation.user_id


def _is_same(new: NewMessage, stored: Message, here: _Open) -> bool:
    return (
        here.conversation is not None
        and stored.conversation_id == here.conversation.id
        and new.equals(stored)
    )
