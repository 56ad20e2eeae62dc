"""Archiving and deleting idle conversations.

A sweep covers every user's conversations. A conversation is idle when it has received no message
for some time; `updated_at` is the time of the last one, and neither archiving nor renaming changes
it.
"""

import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from chatkeep.domain.draft_use_cases import DraftUseCases
from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.idle import Cutoffs, IdleConversation, SweepResult
from chatkeep.domain.ports import Sweeps

MOST_FOUND: Final = 20_000
"""Conversations whose ids are held in memory at once."""

BATCH_CONVERSATIONS: Final = 500
BATCH_MESSAGES: Final = 5_000
"""Messages in a batch of deletions. A conversation with more is deleted in a batch by itself."""

DURATION_FORM: Final = "give hours, days or weeks, such as 12h, 90d or 2w"
_DURATION: Final = re.compile(r"(?P<count>[0-9]{1,9})(?P<unit>[hdw])")
_UNITS: Final = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_LONGEST: Final = timedelta(days=36_500)


@dataclass(frozen=True, slots=True)
class Policy:
    """How long conversations may be idle before they are archived or deleted. None means forever.

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


class _Find(Protocol):
    async def __call__(self, before: datetime, /, *, limit: int) -> Sequence[IdleConversation]: ...


_Change = Callable[[Sequence[IdleConversation], datetime], Awaitable[SweepResult]]


@dataclass(frozen=True, slots=True)
class Sweep:
    """All methods raise `StoreUnavailableError` when the store cannot answer."""

    sweeps: Sweeps
    drafts: DraftUseCases | None = None
    most_found: int = MOST_FOUND
    batch_conversations: int = BATCH_CONVERSATIONS

    async def count(self, cutoffs: Cutoffs) -> SweepResult:
        """Return what `run` would do now; change nothing."""
        return await self.sweeps.count(cutoffs)

    async def run(self, cutoffs: Cutoffs) -> AsyncGenerator[SweepResult, None]:
        """Delete, then archive, in batches; yield the result of each batch when it is done.

        Before that, end drafts whose producers are gone, and delete those that ended long ago.

        It may be stopped after any batch and run again. Conversations that become idle meanwhile
        are left to the next sweep.
        """
        sweeps = self.sweeps
        if self.drafts is not None:
            await self.drafts.sweep()
        if cutoffs.delete is not None:
            async for swept in self._run(
                sweeps.to_delete, sweeps.delete, cutoffs.delete, BATCH_MESSAGES
            ):
                yield swept
        if cutoffs.archive is not None:
            async for swept in self._run(sweeps.to_archive, sweeps.archive, cutoffs.archive, None):
                yield swept

    async def _run(
        self, find: _Find, change: _Change, before: datetime, batch_messages: int | None
    ) -> AsyncGenerator[SweepResult, None]:
        is_done = False
        while not is_done:
            found = await find(before, limit=self.most_found)
            changed = 0
            for batch in batches(found, self.batch_conversations, batch_messages):
                swept = await change(batch, before)
                changed += swept.archived + swept.deleted
                yield swept
            # Where none could be changed, all are in use: they are left to the next sweep.
            is_done = len(found) < self.most_found or not changed


def batches(
    found: Sequence[IdleConversation],
    max_conversations: int = BATCH_CONVERSATIONS,
    max_messages: int | None = BATCH_MESSAGES,
) -> Iterator[list[IdleConversation]]:
    """Split into batches of at most `max_conversations` that have at most `max_messages` in all.

    A conversation with more messages than that is a batch by itself. None means no such bound.
    """
    batch: list[IdleConversation] = []
    messages = 0
    for idle in found:
        is_full = len(batch) == max_conversations or (
            max_messages is not None and messages + idle.message_count > max_messages
        )
        if batch and is_full:
            yield batch
            batch, messages = [], 0
        batch.append(idle)
        messages += idle.message_count
    if batch:
        yield batch


def parse_duration(text: str) -> timedelta:
    """Parse a number of hours, days or weeks: `12h`, `90d`, `2w`.

    Raises `ValueError` with a reason that can be shown to users.
    """
    given = _DURATION.fullmatch(text)
    if given is None:
        raise ValueError(f"{text!r} is not a valid duration; {DURATION_FORM}")
    count = int(given["count"])
    if not count:
        raise ValueError(f"{text!r} would include every conversation; {DURATION_FORM}")
    # Check before multiplying: a timedelta cannot hold every product.
    if count > _LONGEST // _UNITS[given["unit"]]:
        raise ValueError(f"{text!r} is longer than a hundred years; {DURATION_FORM}")
    return count * _UNITS[given["unit"]]
