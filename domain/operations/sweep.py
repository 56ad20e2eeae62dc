"""Archiving and deleting conversations that nobody has used for long: what an operator asks for.

It is over the conversations of all users. Idle is who got no message since: `updated_at`, which
neither archiving nor renaming moves.
"""

import re
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.model import ConversationId, UserId

MOST_FOUND: Final = 20_000
"""Of so many conversations the ids are held in memory."""

BATCH_CONVERSATIONS: Final = 500
BATCH_MESSAGES: Final = 5_000
"""A conversation with more messages is deleted alone: wholly or not at all, as any other."""

DURATION_FORM: Final = "give hours, days or weeks, such as 12h, 90d or 2w"
_DURATION: Final = re.compile(r"(?P<count>[0-9]{1,9})(?P<unit>[hdw])")
_UNITS: Final = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_LONGEST: Final = timedelta(days=36_500)


@dataclass(frozen=True, slots=True)
class Cutoffs:
    """Conversations idle since before `archive` are archived, those since before `delete` deleted.

    None: none are. What is to be deleted is not archived before.
    """

    archive: datetime | None
    delete: datetime | None


@dataclass(frozen=True, slots=True)
class Policy:
    """For how long conversations may be idle before they are archived or deleted; None: for ever.

    Raises `InvalidValueError` when they would be deleted before they are archived.
    """

    archive_after: timedelta | None = None
    delete_after: timedelta | None = None

    def __post_init__(self) -> None:
        archive, delete = self.archive_after, self.delete_after
        if archive is not None and delete is not None and delete < archive:
            raise InvalidValueError(
                "delete_after",
                "is shorter than the time to archive after, so that conversations would be deleted "
                "before they are archived; make it longer, or leave one of the two out",
            )

    @property
    def is_empty(self) -> bool:
        return self.archive_after is None and self.delete_after is None

    def cutoffs(self, now: datetime) -> Cutoffs:
        archive, delete = self.archive_after, self.delete_after
        return Cutoffs(
            None if archive is None else now - archive, None if delete is None else now - delete
        )


@dataclass(frozen=True, slots=True)
class Idle:
    """An idle conversation, as it was when it was found."""

    id: ConversationId
    user_id: UserId
    message_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """How many conversations were archived, were deleted, with how many messages, all in all.

    `retained` would have been deleted, but are on hold.
    """

    archived: int = 0
    deleted: int = 0
    messages: int = 0
    retained: int = 0

    def __add__(self, other: "Swept") -> "Swept":
        return Swept(
            archived=self.archived + other.archived,
            deleted=self.deleted + other.deleted,
            messages=self.messages + other.messages,
            retained=self.retained + other.retained,
        )


class Sweeps(Protocol):
    """All conversations, whoever they belong to. What is on hold (`retain`) is never deleted.

    Each call that changes something looks again whether a conversation is still idle, and on hold,
    in the moment that it changes it, and passes over those that somebody else is just changing.
    Raises `StoreUnavailableError` when the store cannot answer; the same call may be made again.
    """

    async def count(self, cutoffs: Cutoffs) -> Swept:
        """Return what a sweep would do now, and how many on hold it would pass over."""
        ...

    async def to_delete(self, before: datetime, *, limit: int) -> Sequence[Idle]:
        """Return conversations, of any status, idle since before then, at most `limit`, any."""
        ...

    async def to_archive(self, before: datetime, *, limit: int) -> Sequence[Idle]:
        """Return active conversations idle since before then, at most `limit`, any of them."""
        ...

    async def delete(self, idle: Sequence[Idle], before: datetime) -> Swept:
        """Delete those that are still idle since before then, with all that is in them."""
        ...

    async def archive(self, idle: Sequence[Idle], before: datetime) -> Swept:
        """Archive those that are still active and idle since before then."""
        ...


class Diary(Protocol):
    """Remembers the sweeps that the service does by itself, so that each is done once."""

    async def claim(self, due: datetime, at: datetime) -> bool:
        """Return whether the sweep that was due then is the caller's to do: nobody had it yet."""
        ...

    async def finish(self, due: datetime, at: datetime, swept: Swept) -> None:
        """Write down what came of it."""
        ...


@dataclass(frozen=True, slots=True)
class Sweep:
    """All methods raise `StoreUnavailableError` when the store cannot answer."""

    sweeps: Sweeps
    most_found: int = MOST_FOUND
    batch_conversations: int = BATCH_CONVERSATIONS

    async def count(self, cutoffs: Cutoffs) -> Swept:
        """Return what `run` would do now; change nothing."""
        return await self.sweeps.count(cutoffs)

    async def run(self, cutoffs: Cutoffs) -> AsyncGenerator[Swept, None]:
        """Delete, then archive, batch by batch; yield what came of each batch when it is done.

        It may be left at any batch, and done again. What becomes idle meanwhile is not looked for.
        """
        if cutoffs.delete is not None:
            async for swept in self._delete(cutoffs.delete):
                yield swept
        if cutoffs.archive is not None:
            async for swept in self._archive(cutoffs.archive):
                yield swept

    async def _delete(self, before: datetime) -> AsyncGenerator[Swept, None]:
        going_on = True
        while going_on:
            found = await self.sweeps.to_delete(before, limit=self.most_found)
            total = Swept()
            for batch in batches(found, self.batch_conversations):
                swept = await self.sweeps.delete(batch, before)
                total += swept
                yield swept
            # When none could be deleted, all are in use just now: they are for the next sweep.
            going_on = len(found) == self.most_found and total.deleted > 0

    async def _archive(self, before: datetime) -> AsyncGenerator[Swept, None]:
        going_on = True
        while going_on:
            found = await self.sweeps.to_archive(before, limit=self.most_found)
            total = Swept()
            for start in range(0, len(found), self.batch_conversations):
                batch = found[start : start + self.batch_conversations]
                swept = await self.sweeps.archive(batch, before)
                total += swept
                yield swept
            going_on = len(found) == self.most_found and total.archived > 0


def batches(found: Sequence[Idle], most: int = BATCH_CONVERSATIONS) -> Iterator[list[Idle]]:
    """Cut into batches of at most `most` conversations with at most `BATCH_MESSAGES` messages.

    One with more messages than that is a batch of its own.
    """
    batch: list[Idle] = []
    messages = 0
    for idle in found:
        full = len(batch) == most or messages + idle.message_count > BATCH_MESSAGES
        if batch and full:
            yield batch
            batch, messages = [], 0
        batch.append(idle)
        messages += idle.message_count
    if batch:
        yield batch


def duration(text: str) -> timedelta:
    """Return how long `12h`, `90d` or `2w` is. Raises ValueError with the reason, fit to show."""
    given = _DURATION.fullmatch(text)
    if given is None:
        raise ValueError(f"{text!r} is no duration; {DURATION_FORM}")
    count = int(given["count"])
    if not count:
        raise ValueError(f"{text!r} would be every conversation; {DURATION_FORM}")
    # Compared as numbers first: a product that is too large cannot be made.
    if count > _LONGEST // _UNITS[given["unit"]]:
        raise ValueError(f"{text!r} is longer than a hundred years; {DURATION_FORM}")
    return count * _UNITS[given["unit"]]
