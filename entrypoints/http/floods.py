"""Keeps one caller, or all of them together, from drowning the service. Per process."""

import time
from collections.abc import Callable
from math import ceil
from typing import Final, Self

from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from domain.model import UserId
from entrypoints.http.problems import ProblemError

WINDOW: Final = 60.0
_FEW: Final = 10_000


class Rate:
    """At most `limit` requests a minute for each user, in bursts or evenly.

    Remembers one number a user: until when what they sent, at the allowed rate, would have taken
    (the generic cell rate algorithm). `clock` gives seconds.
    """

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit = limit
        self._clock = clock
        self._spacing = WINDOW / limit
        self._until: dict[UserId, float] = {}
        self._prune_above = _FEW

    def __len__(self) -> int:
        """Return how many users are remembered: those of the last minute, and at most as many."""
        return len(self._until)

    def take(self, user_id: UserId) -> tuple[int, float]:
        """Count a request. Return how many more there may be now and in how many seconds all.

        Raises `ProblemError` (429) when there was none left; it is not counted then.
        """
        now = self._clock()
        until = max(self._until.get(user_id, now), now) + self._spacing
        over = until - now - WINDOW
        if over > 1e-6:  # noqa: PLR2004 - the rounding of as many sums as there are in a burst
            raise _too_many(
                f"More than {self.limit} requests a minute (CHATKEEP_REQUESTS_PER_MINUTE).",
                retry_after=ceil(over),
                headers=self.headers(0, until - self._spacing - now),
            )
        if len(self._until) > self._prune_above:
            self._until = {user: end for user, end in self._until.items() if end > now}
            # Not again with the next request, when all of them are of the last minute.
            self._prune_above = max(_FEW, 2 * len(self._until))
        self._until[user_id] = until
        return int((WINDOW - (until - now)) / self._spacing + 1e-6), until - now

    def headers(self, remaining: int, reset: float) -> dict[str, str]:
        """Return the fields of draft-ietf-httpapi-ratelimit-headers."""
        return {
            "RateLimit-Policy": f'"requests";q={self.limit};w={WINDOW:.0f}',
            "RateLimit": f'"requests";r={remaining};t={ceil(reset)}',
        }


class FloodProtection(ASGIMiddleware):
    """Bounds how many requests are served at once, in all and for one user; 0 is no bound.

    `refused` is told of each request that is not served: `overloaded`, `user_at_once`, `user_rate`.
    It stands behind the authentication, whose answers cost less than what it protects.
    """

    scopes = (ScopeType.HTTP,)

    def __init__(
        self,
        *,
        at_once: int,
        at_once_per_user: int,
        rate: Rate | None,
        refused: Callable[[str], None] = lambda _reason: None,
    ) -> None:
        self._refused = refused
        self._at_once = at_once
        self._at_once_per_user = at_once_per_user
        self._rate = rate
        self._running = 0
        self._running_of: dict[UserId | None, int] = {}

    def __deepcopy__(self, _memo: object) -> Self:
        """Stay one: Litestar copies routers with all they have, and a bound is for all of them."""
        return self

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        user_id: UserId | None = scope["user"].user_id
        running_of = self._running_of.get(user_id, 0)
        if 0 < self._at_once <= self._running:
            self._refused("overloaded")
            raise ProblemError(
                503,
                "overloaded",
                f"{self._running} requests are being served, as many as are taken at once "
                "(CHATKEEP_MAX_REQUESTS_AT_ONCE).",
                headers={"Retry-After": "1"},
            )
        if user_id is not None and 0 < self._at_once_per_user <= running_of:
            self._refused("user_at_once")
            raise _too_many(
                f"{running_of} requests of yours are being served, as many as are taken at once "
                "(CHATKEEP_MAX_REQUESTS_AT_ONCE_PER_USER).",
                retry_after=1,
            )
        if self._rate is not None and user_id is not None:
            try:
                left = self._rate.take(user_id)
            except ProblemError:
                self._refused("user_rate")
                raise
            send = _with_headers(send, self._rate.headers(*left))
        self._running += 1
        self._running_of[user_id] = running_of + 1
        try:
            await next_app(scope, receive, send)
        finally:
            self._running -= 1
            if self._running_of[user_id] == 1:
                del self._running_of[user_id]
            else:
                self._running_of[user_id] -= 1


def _with_headers(send: Send, headers: dict[str, str]) -> Send:
    fields = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def send_on(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *fields]
        await send(message)

    return send_on


def _too_many(
    detail: str, *, retry_after: int, headers: dict[str, str] | None = None
) -> ProblemError:
    return ProblemError(
        429,
        "too-many-requests",
        detail,
        headers={"Retry-After": str(retry_after), **(headers or {})},
    )
