"""Limits how many requests are served at once, in all and of one user. Per process."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from litestar.types import ASGIApp, Receive, Scope, Send

from chatkeep.domain.model import UserId
from chatkeep.entrypoints.http.middleware.shared import SharedMiddleware
from chatkeep.entrypoints.http.problems import overloaded, too_many


class Places:
    """At most `at_once` requests in all and `at_once_per_user` of one user; 0 is no limit.

    `what` names the requests in a refusal, and `raised_by` what raises the two limits. `refused` is
    called with the reason of each refusal: `overloaded` or `user_at_once`.
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

    @contextmanager
    def take(self, user_id: UserId | None) -> Iterator[None]:
        """Hold a place until the block ends. Raises `ProblemError` (503, 429) if none is free."""
        self._check(user_id)
        self._running += 1
        self._running_of[user_id] = self._running_of.get(user_id, 0) + 1
        try:
            yield
        finally:
            self._running -= 1
            if self._running_of[user_id] == 1:
                del self._running_of[user_id]
            else:
                self._running_of[user_id] -= 1

    def _check(self, user_id: UserId | None) -> None:
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


class ConcurrencyLimiter(SharedMiddleware):
    """Serves a request only when there is a place for it.

    It holds the place until its answer has been handed to the system: `send` waits for that.
    """

    def __init__(self, places: Places) -> None:
        self._places = places

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        with self._places.take(scope["user"].user_id):
            await next_app(scope, receive, send)
