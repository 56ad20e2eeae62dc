"""The port to the overview."""

from datetime import datetime
from typing import Protocol

from chatkeep.domain.examination import Examination
from chatkeep.domain.overview import Overview


class Overviews(Protocol):
    async def collect(self, at: datetime) -> Overview:
        """Return the overview at a time, of all users. It is for operators.

        Its days are `overview.DAYS`, the last one that of `at`, in UTC.
        """
        ...

    async def record_examination(self, examination: Examination) -> None:
        """Keep what the doctor found, in the place of what it found before."""
        ...
