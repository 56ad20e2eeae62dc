"""When a request is sent again, and after how long."""

import random
from typing import Any, Final

import httpx

from chatkeep_client._requests import Request
from chatkeep_client.errors import (
    ChatkeepError,
    ConnectionFailedError,
    problem_of,
    read_retry_after,
)

FIRST_WAIT: Final = 0.25
LONGEST_WAIT: Final = 8.0
MAX_RETRY_AFTER: Final = 60.0
"""All three in seconds. A request that shall wait longer than the last fails at once."""

_NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
# 408: the service did not get all of the body. 503 is looked at closer.
_REFUSED: Final = frozenset({408, 429})
_TRANSIENT: Final = frozenset({408, 429, 502, 503, 504})


class Attempts:
    """The attempts of one request: after each failure, either a wait or an error."""

    __slots__ = ("_left", "_request", "_wait", "may_be_done")

    def __init__(self, request: Request[Any], max_retries: int) -> None:
        self._request = request
        self._left = max_retries
        self._wait = FIRST_WAIT
        self.may_be_done = False

    def after_error(self, error: httpx.TransportError) -> float:
        """Return the seconds to wait. Raises `ConnectionFailedError` if this was the last one."""
        was_sent = not isinstance(error, _NOT_SENT)
        self.may_be_done = self.may_be_done or was_sent
        if not self._may_repeat(refused=not was_sent):
            text = str(error) or type(error).__name__
            raise ConnectionFailedError(
                f"{self._request.method} {self._request.path}: {text}",
                may_be_done=self.may_be_done,
            ) from error
        return self._next_wait(0.0)

    def after_answer(self, response: httpx.Response) -> float:
        """Return the seconds to wait. Raises the error that the answer means otherwise."""
        status = response.status_code
        error: ChatkeepError | None = None
        if status in _TRANSIENT:
            problem = problem_of(response)
            refused = status in _REFUSED or problem.code == "overloaded"
            self.may_be_done = self.may_be_done or not refused
            asked = read_retry_after(response) or 0.0
            if asked <= MAX_RETRY_AFTER and self._may_repeat(refused=refused):
                return self._next_wait(asked)
            error = problem
        raise error or problem_of(response)

    def _may_repeat(self, *, refused: bool) -> bool:
        allowed = self._request.repeat
        return self._left > 0 and (allowed == "always" or (allowed == "if refused" and refused))

    def _next_wait(self, asked: float) -> float:
        """Return at least `asked` seconds, and a random part more, so that callers spread."""
        self._left -= 1
        wait = random.uniform(self._wait / 2, self._wait)  # noqa: S311 - only spreads load
        self._wait = min(2 * self._wait, LONGEST_WAIT)
        return asked + wait
