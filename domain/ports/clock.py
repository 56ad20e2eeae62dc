"""The port to the time."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """Return the time in UTC, to the microsecond. It may stand still or jump back."""
        ...
