"""The last result of `chatkeep doctor`, in numbers, for the overview."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """The results of an examination of the database by outcome, and of the promises by themselves.

    A promise that was skipped is neither kept nor broken.
    """

    at: datetime
    ok: int
    warnings: int
    failed: int
    skipped: int
    promises_kept: int
    promises_broken: int

    @property
    def healthy(self) -> bool:
        return not self.failed
