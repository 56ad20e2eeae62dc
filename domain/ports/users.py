"""The port to users."""

from typing import Final, Protocol

from chatkeep.domain.model import (
    Usage,
    UserId,
)
from chatkeep.domain.pages import Page
from chatkeep.domain.user_list import ListedUser

MAX_NAMED: Final = 5
"""The most conversations on hold that an error about an erasure names."""


class Users(Protocol):
    async def page(self, *, prefix: str, after: str, limit: int) -> Page[ListedUser]:
        """Return users whose ids begin with `prefix` and come after `after`, by their code points.

        It is for operators: of all users. Of each, at most `user_list.MAX_COUNTED` conversations
        are counted.
        """
        ...

    async def add(self, user_id: UserId) -> bool:
        """Add the user if they do not exist. Return whether they are new.

        Raises `UserNotProvisionedError` if the users table does not accept them.
        """
        ...

    async def usage(self, user_id: UserId) -> Usage:
        """Return how much the user has stored: zeros for an unknown user."""
        ...

    async def erasable(self, user_id: UserId, *, even_retained: bool = False) -> Usage | None:
        """Return or raise what `erase` would now, without deleting anything."""
        ...

    async def erase(self, user_id: UserId, *, even_retained: bool = False) -> Usage | None:
        """Delete the user and everything they own. Return the deleted usage; None if unknown.

        Raises `UserRetainedError`, and deletes nothing, while one of their conversations is on
        hold, unless `even_retained`.
        """
        ...
