"""Keeps one caller, or all of them together, from drowning the service. Per process."""

import time
from collections.abc import Callable
from math import ceil
from typing import Final, Self

from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from chatkeep.domain.model import UserId
from chatkeep.entrypoints.http.middleware.memory import KEY, Held, Memory
from chatkeep.entrypoints.http.problems import ProblemError, overloaded, too_many

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
            raise too_many(
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


class Places:
    """At most so many at once, in all and of one user; 0 is no bound.

    `what` names them in a refusal; `setting` and `setting_per_user` are what raises the bounds.
    """

    def __init__(
        self,
        at_once: int,
        at_once_per_user: int,
        *,
        what: str,
        raised_by: tuple[str, str],
        refused: Callable[[str], None],
    ) -> None:
        self._at_once = at_once
        self._at_once_per_user = at_once_per_user
        self._what = what
        self._raised_by = raised_by
        self._refused = refused
        self._running = 0
        self._running_of: dict[UserId | None, int] = {}

    def check(self, user_id: UserId | None) -> None:
        """Raise `ProblemError` (503, 429) where there is no place."""
        if 0 < self._at_once <= self._running:
            self._refused("overloaded")
            raise overloaded(
                f"{self._running} {self._what} are being served, as many as are taken at once"
                f"{self._raised_by[0]}."
            )
        running_of = self._running_of.get(user_id, 0)
        if user_id is not None and 0 < self._at_once_per_user <= running_of:
            self._refused("user_at_once")
            raise too_many(
                f"{running_of} {self._what} of yours are being served, as many as are taken at "
                f"once{self._raised_by[1]}.",
                retry_after=1,
            )

    def take(self, user_id: UserId | None) -> None:
        self._running += 1
        self._running_of[user_id] = self._running_of.get(user_id, 0) + 1

    def give_back(self, user_id: UserId | None) -> None:
        self._running -= 1
        if self._running_of[user_id] == 1:
            del self._running_of[user_id]
        else:
            self._running_of[user_id] -= 1


class FloodProtection(ASGIMiddleware):
    """Bounds what is served at once: requests, and the bytes of the large ones among them.

    A request counts until its answer has been handed to the system: `send` waits for that.
    `refused` is told of each request that is not served: `overloaded`, `user_at_once`, `user_rate`.
    It stands behind the authentication, whose answers cost less than what it protects.
    """

    scopes = (ScopeType.HTTP,)

    def __init__(
        self,
        *,
        at_once: int,
        at_once_per_user: int,
        bytes_at_once: int,
        rate: Rate | None,
        refused: Callable[[str], None] = lambda _reason: None,
    ) -> None:
        self._places = Places(
            at_once,
            at_once_per_user,
            what="requests",
            raised_by=(
                " (CHATKEEP_MAX_REQUESTS_AT_ONCE)",
                " (CHATKEEP_MAX_REQUESTS_AT_ONCE_PER_USER)",
            ),
            refused=refused,
        )
        self._memory = Memory(bytes_at_once, refused)
        self._rate = rate
        self._refused = refused

    def __deepcopy__(self, _memo: object) -> Self:
        """Stay one: Litestar copies routers with all they have, and a bound is for all of them."""
        return self

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        user_id: UserId | None = scope["user"].user_id
        self._places.check(user_id)
        if self._rate is not None and user_id is not None:
            try:
                left = self._rate.take(user_id)
            except ProblemError:
                self._refused("user_rate")
                raise
            send = _with_headers(send, self._rate.headers(*left))
        held = Held(self._memory, user_id)
        scope[KEY] = held  # type: ignore[typeddict-unknown-key] # ASGI allows for keys of others
        self._places.take(user_id)
        try:
            await next_app(scope, receive, send)
        finally:
            self._places.give_back(user_id)
            held.give_back()


class FewAtOnce(ASGIMiddleware):
    """Bounds how many requests of a route that take long are served at once."""

    scopes = (ScopeType.HTTP,)

    def __init__(self, places: Places) -> None:
        self._places = places

    def __deepcopy__(self, _memo: object) -> Self:
        return self

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        user_id: UserId | None = scope["user"].user_id
        self._places.check(user_id)
        self._places.take(user_id)
        try:
            await next_app(scope, receive, send)
        finally:
            self._places.give_back(user_id)


def _with_headers(send: Send, headers: dict[str, str]) -> Send:
    fields = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def send_on(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *fields]
        await send(message)

    return send_on
