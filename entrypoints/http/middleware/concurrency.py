"""Limits the number of concurrent requests, in total and per user. Per process."""

from collections.abc import Callable

from litestar.types import ASGIApp, Receive, Scope, Send

from chatkeep.domain.model import UserId
from chatkeep.entrypoints.http.middleware.shared import SharedMiddleware
from chatkeep.entrypoints.http.problems import overloaded, too_many


class Places:
    """At most `at_once` requests in total and `at_once_per_user` of one user; 0 means no limit.

    Refusals name the requests by `what` and the settings of the two limits by `raised_by`.
    `refused` is called with the reason for each refusal: `overloaded` or `user_at_once`.
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

    def take(self, user_id: UserId | None) -> "_Place":
        """Take a place for a block. Raises `ProblemError` (503, 429) on entry if none is free."""
        return _Place(self, user_id)

    def enter(self, user_id: UserId | None) -> None:
        self._check(user_id)
        self._running += 1
        self._running_of[user_id] = self._running_of.get(user_id, 0) + 1

    def leave(self, user_id: UserId | None) -> None:
        self._running -= 1
        if self._running_of[user_id] == 1:
            del self._running_of[user_id]
        else:
            self._running_of[user_id] -= 1

    def _check(self, user_id: UserId | None) -> None:
        if 0 < self._at_once <= self._running:
            self._refused("overloaded")
            raise overloaded(
                f"This process is serving {self._running} {self._what}, its limit"
                f"{self._raised_by[0]}."
            )
        running_of = self._running_of.get(user_id, 0)
        if user_id is not None and 0 < self._at_once_per_user <= running_of:
            self._refused("user_at_once")
            raise too_many(
                f"This process is serving {running_of} {self._what} for you, the limit per user"
                f"{self._raised_by[1]}.",
                retry_after=1,
            )


class _Place:
    """One place. A class, since `contextlib.contextmanager` takes a microsecond more."""

    __slots__ = ("_places", "_user_id")

    def __init__(self, places: Places, user_id: UserId | None) -> None:
        self._places = places
        self._user_id = user_id

    def __enter__(self) -> None:
        self._places.enter(self._user_id)

    def __exit__(self, *_: object) -> None:
        self._places.leave(self._user_id)


class ConcurrencyLimiter(SharedMiddleware):
    """Serves a request only if there is a place for it.

    The request keeps its place until its response has been handed to the operating system: `send`
    waits for that.
    """

    def __init__(self, places: Places) -> None:
        self._places = places

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        with self._places.take(scope["user"].user_id):
            await next_app(scope, receive, send)
