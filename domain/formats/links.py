"""How messages of a tree hang together, by the names that they have in a file."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from chatkeep.domain.model import Message, Position


class Ends(NamedTuple):
    """The names of the documents that a message becomes: of the first, and of the last one.

    `above` is what the first one names as the one before it, if it came from an export.
    """

    first: str
    last: str
    above: str | None = None


@dataclass(frozen=True, slots=True)
class Links:
    """How the runs of a conversation's branches hang together.

    `before` has what comes before the first message of a run, by the position of that message.
    `after` has the first messages of runs that follow a message, by its position. `last` is the
    last message of the current branch. A conversation without branches has nothing of it.
    """

    before: Mapping[Position, Ends | None] = field(default_factory=dict)
    after: Mapping[Position, Sequence[Ends]] = field(default_factory=dict)
    last: Ends | None = None


EndsOf = Callable[[Message], Ends]
"""Returns the names of the documents that a message becomes."""
