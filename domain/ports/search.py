"""The port to search."""

from typing import Protocol

from chatkeep.domain.model import UserId
from chatkeep.domain.search import MAX_READ, SearchFound, SearchPlace, Wanted


class Search(Protocol):
    async def find(  # noqa: PLR0913 - each is one independent part of the question
        self,
        user_id: UserId,
        wanted: Wanted,
        *,
        after: SearchPlace | None = None,
        limit: int,
        grouped: bool = False,
        max_read: int = MAX_READ,
    ) -> SearchFound:
        """Return at most `limit` messages and titles that match, greatest place first.

        A message is compared as it is stored now, on whichever branch. With `grouped`, each
        conversation has its first hit only.

        It compares at most about `max_read` messages after `after`. If it stops there, it returns
        what it found, and `next`: following `next` to its end finds every match once.

        Nothing needs to be prepared: the call itself adds to the user's index what that does not
        have yet, the latest conversations first, in a bounded time. What is `left` then is not
        found yet; once nothing is left, everything is found that was stored before the call.
        """
        ...
