"""How many bytes large bodies and large answers may take at once. Per process.

A small one is not counted: how many of those there are is bounded by the requests at once.
"""

from collections.abc import Callable
from typing import Final

from litestar.types import Scope

from chatkeep.domain.model import UserId
from chatkeep.entrypoints.http.problems import overloaded, too_many

SMALL_BYTES: Final = 65_536
SHARES: Final = 4
"""One user has at most a fourth of the whole, or else two could keep all others out."""

KEY: Final = "chatkeep.memory"
"""Where in its scope a request has its `Held`."""


class Memory:
    """The bytes that are held for all requests; at most `limit`, 0 is no bound.

    What nobody else stands in the way of is let through whatever its size: the limit of a body,
    or of a page, is another one.
    """

    def __init__(self, limit: int, refused: Callable[[str], None]) -> None:
        self.limit = limit
        self.refused = refused
        self.held = 0
        self.of_user: dict[UserId | None, int] = {}


class Held:
    """The bytes that are held for one request."""

    __slots__ = ("_held", "_memory", "_user_id")

    def __init__(self, memory: Memory, user_id: UserId | None) -> None:
        self._memory = memory
        self._user_id = user_id
        self._held = 0

    def take(self, size: int) -> None:
        """Count so many bytes more. Raises `ProblemError` (503, 429) where there is no room."""
        memory = self._memory
        of_user = memory.of_user.get(self._user_id, 0)
        if memory.limit:
            share = memory.limit // SHARES
            if of_user > self._held and of_user + size > share:
                memory.refused("user_at_once")
                raise too_many(
                    f"Your large requests and answers hold {of_user} bytes; {share} are taken at "
                    "once, a fourth of CHATKEEP_MAX_BYTES_AT_ONCE.",
                    retry_after=1,
                )
            if memory.held > self._held and memory.held + size > memory.limit:
                memory.refused("overloaded")
                raise overloaded(
                    f"Large requests and answers hold {memory.held} bytes; {memory.limit} are "
                    "taken at once (CHATKEEP_MAX_BYTES_AT_ONCE)."
                )
        self.take_anyway(size)

    def take_anyway(self, size: int) -> None:
        """Count so many bytes more that cannot be refused any more."""
        self._held += size
        self._memory.held += size
        of_user = self._memory.of_user
        of_user[self._user_id] = of_user.get(self._user_id, 0) + size

    def give_back(self) -> None:
        if self._held == 0:
            return
        self._memory.held -= self._held
        of_user = self._memory.of_user
        of_user[self._user_id] -= self._held
        if of_user[self._user_id] == 0:
            del of_user[self._user_id]
        self._held = 0


def hold(scope: Scope, size: int, *, may_refuse: bool = True) -> None:
    """Count so many bytes more for a request until its answer has been handed to the system.

    Raises `ProblemError`, unless it is too late for that.
    """
    held: Held | None = scope.get(KEY)  # type: ignore[assignment] # ASGI allows for keys of others
    if held is not None:
        if may_refuse:
            held.take(size)
        else:
            held.take_anyway(size)
