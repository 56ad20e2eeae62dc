"""Changes of a log: what its messages are replaced by, and how much of it was deleted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from chatkeep.domain.errors import SuffixDiffersError
from chatkeep.domain.log import Entry, messages_in
from chatkeep.domain.model import Message, MessageId, NewMessage

MAX_NAMED_MORE: Final = 100
"""How many messages beyond the expected ones the error about a suffix names."""


@dataclass(frozen=True, slots=True)
class Truncated:
    """The result of a truncation: how many messages it deleted, and how many are left."""

    deleted: int
    message_count: int


@dataclass(frozen=True, slots=True)
class Replaced:
    """The result of replacing a suffix: the new messages as they are stored.

    A repeated call deletes nothing, and returns what is stored.
    """

    messages: tuple[Message, ...]
    deleted: int
    message_count: int


def match_replace(
    given: Sequence[NewMessage], suffix: Sequence[Entry]
) -> tuple[Message, ...] | None:
    """Return the messages of `suffix` if they are already what `given` would make of them."""
    stored = messages_in(suffix)
    if len(given) == len(suffix) == len(stored) and all(map(NewMessage.equals, given, stored)):
        return stored
    return None


def check_suffix(found: Sequence[MessageId], expected: Sequence[MessageId]) -> None:
    """Raise `SuffixDiffersError` unless the messages found are the expected ones."""
    if [*found] != [*expected]:
        raise SuffixDiffersError(found[: len(expected) + MAX_NAMED_MORE])
