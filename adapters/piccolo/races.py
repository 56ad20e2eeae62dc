"""What to do when something that stood in a call's way is gone before it could be looked at.

A call that finds an id taken asks in a second statement what has it. By then it may be deleted, and
nothing stands in the way any more: the call is simply made again.
"""

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from chatkeep.domain.errors import ChatkeepError, StoreUnavailableError

TRIES: Final = 10

P = ParamSpec("P")
S = TypeVar("S")
T = TypeVar("T")


class GoneError(Exception):
    """What stood in the way is gone. `otherwise` makes the error for when it always is."""

    def __init__(self, otherwise: Callable[[], ChatkeepError] | None = None) -> None:
        super().__init__("what stood in the way is gone")
        self._otherwise = otherwise

    def otherwise(self) -> ChatkeepError:
        if self._otherwise is not None:
            return self._otherwise()
        return StoreUnavailableError("What had the id was deleted, several times in a row.")


def repeated_when_gone(
    method: Callable[Concatenate[S, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, T]]:
    """Have a method called again when it raises `GoneError`."""

    @wraps(method)
    async def repeating(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        tries = 1
        while True:
            try:
                return await method(self, *args, **kwargs)
            except GoneError as error:
                if tries == TRIES:
                    raise error.otherwise() from error
            tries += 1

    return repeating
