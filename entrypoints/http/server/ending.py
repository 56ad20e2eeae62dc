"""Tells answers that go on for long that the service is about to stop."""

from collections.abc import Callable
from typing import Final

from litestar.types import Scope

ENDING: Final = "chatkeep.ending"
"""The key of a connection's `Ending` in a scope."""


class Ending:
    """The end of a connection. `has_begun` is true once the service is about to stop."""

    __slots__ = ("_callbacks", "has_begun")

    def __init__(self) -> None:
        self.has_begun = False
        self._callbacks: set[Callable[[], None]] = set()

    def begin(self) -> None:
        self.has_begun = True
        for callback in tuple(self._callbacks):
            callback()

    def add(self, callback: Callable[[], None]) -> None:
        """Call it when the end begins; it must be removed when the answer is complete."""
        self._callbacks.add(callback)

    def remove(self, callback: Callable[[], None]) -> None:
        self._callbacks.discard(callback)


def ending_of(scope: Scope) -> Ending:
    """Return the end of a request's connection. Other servers than ours do not announce it."""
    found: Ending | None = scope.get(ENDING)  # type: ignore[assignment] # ASGI allows extra keys
    return found or Ending()
