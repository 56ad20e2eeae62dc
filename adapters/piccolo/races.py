"""Repeats a call whose conflict has disappeared.

A call that finds an id taken reads the holder of the id in a second statement. If the holder has
been deleted by then, there is no conflict any more, and the call is made again. So is a call that
had to wait for another one, which changed what it had read.
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
    """The rows that a call found are gone. `otherwise` makes the error if that happens again."""

    def __init__(self, otherwise: Callable[[], ChatkeepError] | None = None) -> None:
        super().__init__("the rows that a call found are gone")
        self._otherwise = otherwise

    def otherwise(self) -> ChatkeepError:
        if self._otherwise is not None:
            return self._otherwise()
        return StoreUnavailableError("The holder of the id was deleted several times in a row.")


def repeated_when_gone(
    method: Callable[Concatenate[S, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, T]]:
    """Decorate a method to be called again if it raises `GoneError`."""

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
