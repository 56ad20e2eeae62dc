"""Bounds the memory that large bodies and responses take at the same time, per process.

Small ones are not counted: the number of concurrent requests bounds those.
"""

from collections.abc import Callable
from typing import Final

from litestar.types import ASGIApp, Receive, Scope, Send

from chatkeep.domain.model import UserId
from chatkeep.entrypoints.http.middleware.shared import SharedMiddleware
from chatkeep.entrypoints.http.problems import overloaded, too_many

SMALL_BYTES: Final = 65_536
SHARES: Final = 4
"""One user gets at most a fourth of the limit; otherwise two could lock out all others."""

KEY: Final = "chatkeep.memory"
"""The key of a request's `MemoryReservation` in its scope."""


class MemoryBudget:
    """The bytes that all requests hold: at most `limit`; 0 means no limit.

    A request is let through whatever its size if no other request holds bytes. Bodies and pages
    have limits for their size elsewhere.
    """

    def __init__(self, limit: int, on_refused: Callable[[str], None]) -> None:
        self.limit = limit
        self.on_refused = on_refused
        self.held = 0
        self.of_user: dict[UserId | None, int] = {}


class MemoryReservation:
    """The bytes that one request holds."""

    __slots__ = ("_held", "_memory", "_user_id")

    def __init__(self, memory: MemoryBudget, user_id: UserId | None) -> None:
        self._memory = memory
        self._user_id = user_id
        self._held = 0

    def reserve(self, size: int) -> None:
        """Add `size` bytes. Raises `ProblemError` (503, 429) if that exceeds a limit."""
        memory = self._memory
        of_user = memory.of_user.get(self._user_id, 0)
        if memory.limit:
            share = memory.limit // SHARES
            if of_user > self._held and of_user + size > share:
                memory.on_refused("user_at_once")
                raise too_many(
                    f"Your large requests and responses hold {of_user} bytes; {share} are allowed "
                    "at once, a fourth of CHATKEEP_MAX_BYTES_AT_ONCE.",
                    retry_after=1,
                )
            if memory.held > self._held and memory.held + size > memory.limit:
                memory.on_refused("overloaded")
                raise overloaded(
                    f"Large requests and responses hold {memory.held} bytes; {memory.limit} are "
                    "allowed at once (CHATKEEP_MAX_BYTES_AT_ONCE)."
                )
        self.force(size)

    def force(self, size: int) -> None:
        """Add `size` bytes that can no longer be refused."""
        self._held += size
        self._memory.held += size
        of_user = self._memory.of_user
        of_user[self._user_id] = of_user.get(self._user_id, 0) + size

    def release(self) -> None:
        if self._held == 0:
            return
        self._memory.held -= self._held
        of_user = self._memory.of_user
        of_user[self._user_id] -= self._held
        if of_user[self._user_id] == 0:
            del of_user[self._user_id]
        self._held = 0


class MemoryLimiter(SharedMiddleware):
    """Gives each request a memory reservation, and releases it when its response is sent."""

    def __init__(self, memory: MemoryBudget) -> None:
        self._memory = memory

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        reservation = MemoryReservation(self._memory, scope["user"].user_id)
        scope[KEY] = reservation  # type: ignore[typeddict-unknown-key] # ASGI allows extra keys
        try:
            await next_app(scope, receive, send)
        finally:
            reservation.release()


def reserve_memory(scope: Scope, size: int, *, may_refuse: bool = True) -> None:
    """Add `size` bytes to a request until its response has been handed to the operating system.

    Raises `ProblemError` if that exceeds a limit and `may_refuse`.
    """
    reservation: MemoryReservation | None = scope.get(KEY)  # type: ignore[assignment] # ASGI allows extra keys
    if reservation is not None:
        if may_refuse:
            reservation.reserve(size)
        else:
            reservation.force(size)
