"""Search on Postgres: the index says where to look, and what is stored there decides.

Segments are read by their last messages, and lanes compared by the last message of the lane, so
that a common word is found without reading all that has it.
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from typing import Any, Final
from uuid import UUID

from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.rows import Row
from chatkeep.adapters.piccolo.search_indexing import IndexBudget, PiccoloSearchIndex
from chatkeep.adapters.piccolo.search_lanes import Lanes
from chatkeep.adapters.piccolo.search_rows import (
    size_of,
    to_entry_hit,
    to_searched_title,
    to_title_hit,
)
from chatkeep.adapters.piccolo.search_statements import CANDIDATES, LANES, TITLES
from chatkeep.domain.model import (
    EPOCH,
    LAST_POSITION,
    ConversationId,
    Position,
    UserId,
    microseconds,
)
from chatkeep.domain.search import (
    MAX_READ,
    Hit,
    SearchFound,
    SearchPlace,
    Wanted,
)
from chatkeep.domain.search_index import HASHES, hashes
from chatkeep.domain.searched_text import MAX_SEARCHED_CHARS
from chatkeep.domain.threads import run_aside

FIRST_EXAMINED: Final = 256
"""How many segments a call looks at first. A common word is found in them."""

MAX_EXAMINED: Final = 16_384
"""About the most segments that a call looks at."""

_FEW_LANES: Final = 16
_SOME_LANES: Final = 64
_MOST_LANES: Final = 256
_MOST_RULED_OUT: Final = 1_024
"""The same where Postgres rules out most messages by patterns."""

_MUCH: Final = 1_048_576
_COMPARED_AT_ONCE: Final = 24
_TITLES_AT_ONCE: Final = 100
_LATEST: Final = microseconds(datetime(9999, 12, 31, tzinfo=UTC))
_HIGHEST_ID: Final = ConversationId(UUID(int=2**128 - 1))


def _at_most(position: int) -> SearchPlace:
    """Return the place after which all hits at this position and below are."""
    return SearchPlace(Position(position), _HIGHEST_ID, is_title=True)


FIRST_PLACE: Final = _at_most(LAST_POSITION)


class PiccoloSearch:
    def __init__(self, engine: Engine, budget: IndexBudget | None = None) -> None:
        self._engine = engine
        self.index = PiccoloSearchIndex(engine, budget)

    async def find(  # noqa: PLR0913 - the port's
        self,
        user_id: UserId,
        wanted: Wanted,
        *,
        after: SearchPlace | None = None,
        limit: int,
        grouped: bool = False,
        max_read: int = MAX_READ,
    ) -> SearchFound:
        left = await self.index.catch_up(user_id)
        search = _Search(self._engine, user_id, wanted, wanted.within, after or FIRST_PLACE)
        hits: list[Hit] = []
        seen: set[ConversationId] = set()
        async for hit in search.hits(max_read):
            if grouped:
                if hit.conversation_id in seen:
                    continue
                seen.add(hit.conversation_id)
                if after is not None and await self._has_newer(user_id, wanted, hit, after):
                    continue
            hits.append(hit)
            if len(hits) > limit:
                break
        if len(hits) > limit:
            return SearchFound(hits[:limit], hits[limit - 1].place, left)
        return SearchFound(hits, search.stopped_at, left)

    async def _has_newer(
        self, user_id: UserId, wanted: Wanted, hit: Hit, after: SearchPlace
    ) -> bool:
        """Return whether the conversation of the hit has another one on an earlier page."""
        search = _Search(self._engine, user_id, wanted, hit.place.conversation_id, FIRST_PLACE)
        async for first in search.hits(MAX_READ):
            return first.place >= after
        return False


class _Search:
    """One pass over what may match, latest first.

    `stopped_at` is where to go on, if the pass stopped before the end.
    """

    def __init__(
        self,
        engine: Engine,
        user_id: UserId,
        wanted: Wanted,
        within: ConversationId | None,
        after: SearchPlace,
    ) -> None:
        self._engine = engine
        self._user_id = user_id
        self._wanted = wanted
        self._within = within
        self._after = after
        self._clauses = _clause_values(wanted.clauses)
        self._title_clauses = _clause_values(wanted.title_clauses)
        self._lanes = Lanes(after.position)
        # What was read of lanes and is not compared yet: the latest is the least.
        self._entries: list[tuple[int, UUID, Row]] = []
        # What was read, since a segment that is made again meanwhile is read twice.
        self._read: set[tuple[int, UUID]] = set()
        self._found: list[tuple[tuple[int, int, bool], Hit]] = []
        # No segment that is not read yet has a message after this position.
        self._segments_upto = 0 if wanted.only_titles else LAST_POSITION
        self._examine = FIRST_EXAMINED
        self._titles_below: SearchPlace | None = after
        self._lanes_at_once = _FEW_LANES
        self._examined = self._compared = 0
        self.stopped_at: SearchPlace | None = None

    async def hits(self, max_read: int) -> AsyncIterator[Hit]:
        """Yield the hits in order."""
        while True:
            segment = min(self._segments_upto, self._after.position)
            title = 0 if self._titles_below is None else self._titles_below.position
            lane = self._lanes.newest
            entry = -self._entries[0][0] if self._entries else 0
            newest = max(segment, title, lane, entry)
            while self._found and -self._found[0][0][0] > newest:
                yield heappop(self._found)[1]
            if not newest:
                return
            reads_segments = max(title, entry) < newest and segment > lane
            # A pass that goes on where it began would never end.
            if newest < self._after.position and (
                self._compared >= max_read or (reads_segments and self._examined >= MAX_EXAMINED)
            ):
                self.stopped_at = _at_most(newest)
                return
            if title == newest:
                await self._read_titles()
            elif reads_segments:
                await self._read_segments()
            elif entry == newest:
                await self._compare()
            else:
                await self._read_lanes()

    async def _read_segments(self) -> None:
        """Read which of the next segments may match."""
        several = any(len(clause) > 1 for clause in self._wanted.clauses)
        within = self._within
        rows = await self._engine.fetch(
            CANDIDATES[several, within is not None],
            **(self._clauses if several else _number_values(self._wanted.clauses)),
            **({"examine": self._examine} if within is None else {"within": within}),
            user_id=self._user_id,
            upto=self._after.position,
            last=self._segments_upto,
        )
        for row in rows:
            if row["conversation_id"] is not None:
                self._lanes.add(row, row["lanes"])
        self._examined += self._examine
        self._examine = min(self._examine * 8, MAX_EXAMINED)
        self._segments_upto = max(rows[0]["floor"] - 1, 0)

    async def _read_lanes(self) -> None:
        """Read the entries of the next lanes that may match.

        Where a page is not found in the first ones, what matches is rare, and Postgres returns
        little of many.
        """
        is_rare = self._lanes_at_once > _SOME_LANES
        lanes = list(self._lanes.take(self._lanes_at_once, joined=is_rare))
        patterns = self._wanted.patterns
        rows = await self._engine.fetch(
            LANES,
            user_id=self._user_id,
            ids=[str(lane.conversation_id) for lane in lanes],
            lows=[str(lane.low) for lane in lanes],
            highs=[str(lane.high) for lane in lanes],
            chars=MAX_SEARCHED_CHARS,
            patterns=patterns,
        )
        self._compared += rows[0]["compared"]
        rows = [row for row in rows if row["conversation_id"] is not None]
        size = sum(map(size_of, rows))
        # So that a batch stays small where lanes have images or long items.
        if size >= _MUCH:
            self._lanes_at_once = max(1, self._lanes_at_once // 4)
        elif self._lanes_at_once < _SOME_LANES:
            self._lanes_at_once *= 4
        else:
            self._lanes_at_once = _MOST_RULED_OUT if patterns else _MOST_LANES
        for row in rows:
            place = (-row["position"], row["conversation_id"])
            if place not in self._read:
                self._read.add(place)
                heappush(self._entries, (*place, row))

    async def _compare(self) -> None:
        """Compare the next entries with the query: a page may need no more."""
        count = min(_COMPARED_AT_ONCE, len(self._entries))
        rows = [heappop(self._entries)[2] for _ in range(count)]
        size = sum(map(size_of, rows))
        for hit in await run_aside(size, lambda: list(self._matching(rows))):
            self._add(hit)

    def _matching(self, rows: Sequence[Row]) -> Iterator[Hit]:
        for row in rows:
            hit = to_entry_hit(row, self._wanted)
            if hit is not None:
                yield hit

    async def _read_titles(self) -> None:
        """Compare the next titles with the query."""
        below = self._titles_below or self._after
        within = self._within
        rows = await self._engine.fetch(
            TITLES[within is not None],
            **self._title_clauses,
            **({} if within is None else {"within": within}),
            user_id=self._user_id,
            at=_time(below.position),
            id=below.conversation_id,
            limit=_TITLES_AT_ONCE,
        )
        for row in rows:
            searched = to_searched_title(row)
            if self._wanted.matches(searched):
                self._add(to_title_hit(row, searched))
        self._titles_below = None
        if len(rows) == _TITLES_AT_ONCE:
            end = rows[-1]
            self._titles_below = SearchPlace(
                microseconds(end["updated_at"]), end["conversation_id"], is_title=False
            )

    def _add(self, hit: Hit) -> None:
        if hit.place < self._after:
            position, conversation_id, is_title = hit.place
            heappush(self._found, ((-position, -conversation_id.int, not is_title), hit))


def _clause_values(clauses: Sequence[frozenset[str]]) -> dict[str, Any]:
    """Return the clauses as parameters."""
    keys = [(number, hashes(key)) for number, clause in enumerate(clauses) for key in clause]
    return {
        "clauses": [str(number) for number, _ in keys],
        **{f"numbers{index}": [str(each[index]) for _, each in keys] for index in range(HASHES)},
    }


def _number_values(clauses: Sequence[frozenset[str]]) -> dict[str, Any]:
    """Return clauses of one key each as parameters."""
    return {"numbers": [str(each) for clause in clauses for key in clause for each in hashes(key)]}


def _time(position: int) -> datetime:
    return EPOCH + timedelta(microseconds=min(position, _LATEST))
