"""The ports to sweeps over every user's conversations, and to their schedule."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from chatkeep.domain.idle import Cutoffs, IdleConversation, SweepResult


class Sweeps(Protocol):
    """Sweeps over every user's conversations. One on hold (`retain`) is never deleted.

    Calls that change conversations check again, at the moment of the change, that each is still
    idle and not on hold, and skip those that another transaction is changing.
    Raises `StoreUnavailableError` when the store cannot answer; the same call may be made again.
    """

    async def count(self, cutoffs: Cutoffs) -> SweepResult:
        """Return what a sweep would do now, and how many on hold it would skip."""
        ...

    async def to_delete(self, before: datetime, *, limit: int) -> Sequence[IdleConversation]:
        """Return up to `limit` conversations of any status idle since before then, in any order."""
        ...

    async def to_archive(self, before: datetime, *, limit: int) -> Sequence[IdleConversation]:
        """Return up to `limit` active conversations idle since before then, in any order."""
        ...

    async def delete(self, idle: Sequence[IdleConversation], before: datetime) -> SweepResult:
        """Delete those that are still idle since before then, with everything in them."""
        ...

    async def archive(self, idle: Sequence[IdleConversation], before: datetime) -> SweepResult:
        """Archive those that are still active and idle since before then."""
        ...


class SweepSchedule(Protocol):
    """Records the daily sweeps of the service, so that only one process runs each."""

    async def claim(self, due: datetime, at: datetime) -> bool:
        """Claim the sweep due at `due`. Return False if another process already claimed it."""
        ...

    async def finish(self, due: datetime, at: datetime, swept: SweepResult) -> None:
        """Record the result of the sweep due at `due`, which ended at `at`."""
        ...
