"""The schema's migrations, as operators see them."""

from dataclasses import dataclass
from datetime import datetime

from chatkeep.domain.errors import ChatkeepError


class MigrationError(ChatkeepError):
    """A migration could not be applied; nothing was changed. The message says why."""


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    """`ran_on` is local time where it was applied; None while it is pending."""

    id: str
    description: str
    ran_on: datetime | None
