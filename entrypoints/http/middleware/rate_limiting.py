"""Limits the requests of each user per minute. Per process."""

import time
from collections.abc import Callable
from math import ceil
from typing import Final

from litestar.types import ASGIApp, Message, Receive, Scope, Send

from chatkeep.domain.model import UserId
from chatkeep.entrypoints.http.middleware.shared import SharedMiddleware
from chatkeep.entrypoints.http.problems import ProblemError, too_many

WINDOW: Final = 60.0
_FEW: Final = 10_000


class Rate:
    """At most `limit` requests per minute for each user, in bursts or evenly spread.

    It stores one number for each user: the time at which their requests would end if they had been
    sent at the allowed rate (the generic cell rate algorithm). `clock` returns seconds.
    """

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit = limit
        self._clock = clock
        self._spacing = WINDOW / limit
        self._until: dict[UserId, float] = {}
        self._prune_above = _FEW

    def __len__(self) -> int:
        """Return the number of stored users: at most twice those of the last minute, or 10,000."""
        return len(self._until)

    def take(self, user_id: UserId) -> tuple[int, float]:
        """Count a request. Return the number left, and the seconds until all are available again.

        Raises `ProblemError` (429), without counting the request, if none is left.
        """
        now = self._clock()
        until = max(self._until.get(user_id, now), now) + self._spacing
        over = until - now - WINDOW
        if over > 1e-6:  # noqa: PLR2004 - rounding errors of the additions in a burst
            raise too_many(
                f"More than {self.limit} requests a minute (CHATKEEP_REQUESTS_PER_MINUTE).",
                retry_after=ceil(over),
                headers=self.headers(0, until - self._spacing - now),
            )
        if len(self._until) > self._prune_above:
            self._until = {user: end for user, end in self._until.items() if end > now}
            # Otherwise the next request would prune again, if all users are from the last minute.
            self._prune_above = max(_FEW, 2 * len(self._until))
        self._until[user_id] = until
        return int((WINDOW - (until - now)) / self._spacing + 1e-6), until - now

    def headers(self, remaining: int, reset: float) -> dict[str, str]:
        """Return the headers of draft-ietf-httpapi-ratelimit-headers."""
        return {
            "RateLimit-Policy": f'"requests";q={self.limit};w={WINDOW:.0f}',
            "RateLimit": f'"requests";r={remaining};t={ceil(reset)}',
        }


class RateLimiter(SharedMiddleware):
    """Refuses requests beyond a user's rate, and reports the rest of it in every response.

    It calls `refused` with `user_rate` for each request that it refuses.
    """

    def __init__(self, rate: Rate, refused: Callable[[str], None]) -> None:
        self._rate = rate
        self._refused = refused

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        user_id: UserId | None = scope["user"].user_id
        if user_id is not None:
            try:
                left = self._rate.take(user_id)
            except ProblemError:
                self._refused("user_rate")
                raise
            send = _add_headers(send, self._rate.headers(*left))
        await next_app(scope, receive, send)


def _add_headers(send: Send, headers: dict[str, str]) -> Send:
    fields = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def send_on(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *fields]
        await send(message)

    return send_on
