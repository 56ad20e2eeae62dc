"""The lanes of segments that may match, in the order in which they are compared."""

from collections.abc import Iterator
from heapq import heappop, heappush
from itertools import count
from typing import NamedTuple
from uuid import UUID

from chatkeep.adapters.piccolo.rows import Row
from chatkeep.domain.search_index import latest_lane


class LaneRange(NamedTuple):
    """Where lanes to compare are: positions of a conversation, from `low` to `high`."""

    conversation_id: UUID
    low: int
    high: int


class _Lane(NamedTuple):
    """A lane; the latest one is the least. `newest` is its last position, negated.

    `number` is another one for each. `others` are the earlier lanes of its segment that may match,
    which come after it.
    """

    newest: int
    number: int
    conversation_id: UUID
    low: int
    others: int
    segment: Row


class Lanes:
    """Lanes that are left to compare, without what is after the position `upto`.

    A segment is in the heap with its latest lane alone: most are never reached.
    """

    def __init__(self, upto: int) -> None:
        self._upto = upto
        self._heap: list[_Lane] = []
        self._numbers = count()

    @property
    def newest(self) -> int:
        """The last position of the latest lane; 0 if none is left."""
        return -self._heap[0].newest if self._heap else 0

    def add(self, segment: Row, lanes: int) -> None:
        """Add these lanes of a segment, a set of bits."""
        while lanes:
            low, high, lanes = latest_lane(
                segment["first"], segment["last"], segment["places"], lanes
            )
            if low <= self._upto:
                newest = min(high, self._upto)
                its_id, number = segment["conversation_id"], next(self._numbers)
                heappush(self._heap, _Lane(-newest, number, its_id, low, lanes, segment))
                return

    def take(self, most: int, *, joined: bool) -> Iterator[LaneRange]:
        """Take about `most` lanes.

        If they are `joined`, a range has successive lanes of a segment, and all of its lanes come
        at once: that is one look into an index for up to eight.
        """
        while self._heap and most > 0:
            newest, _, conversation_id, low, others, segment = heappop(self._heap)
            high = -newest
            most -= 1
            while joined and others:
                earlier, end, others = latest_lane(
                    segment["first"], segment["last"], segment["places"], others
                )
                if end + 1 < low:
                    yield LaneRange(conversation_id, low, high)
                    high = end
                low = earlier
                most -= 1
            yield LaneRange(conversation_id, low, high)
            self.add(segment, others)
