"""The checks of scenarios, and the error of a broken promise."""

from collections.abc import Awaitable, Sequence

from chatkeep.domain.errors import ChatkeepError
from chatkeep.domain.model import Message, NewMessage


class BrokenPromiseError(Exception):
    """The store does not keep a promise; the message says what it did instead."""


def expect(condition: bool, otherwise: str) -> None:  # noqa: FBT001 - as in `assert`
    """Raise `BrokenPromiseError` with the text `otherwise`, unless the condition holds."""
    if not condition:
        raise BrokenPromiseError(otherwise)


def expect_count(found: int, expected: int, after: str) -> None:
    expect(found == expected, f"counted {found} instead of {expected} ({after})")


def expect_same(given: Sequence[NewMessage], stored: Sequence[Message], which: str) -> None:
    expect(
        len(given) == len(stored) and all(map(NewMessage.equals, given, stored)),
        f"messages {which} did not come back as they were given",
    )


async def expect_error(error: type[ChatkeepError], call: Awaitable[object], what: str) -> None:
    """Raise `BrokenPromiseError` unless the call raises this error; pass on any other error."""
    try:
        await call
    except error:
        return
    raise BrokenPromiseError(f"{what} was not refused")
