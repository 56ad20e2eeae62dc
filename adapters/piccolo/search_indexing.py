"""Keeps the search index of a user on Postgres, in bounded steps.

A conversation is in the index as it was at a revision. If it has another one now, its segments are
compared with its entries; those that differ are made again, and so is the last one, which grows. A
conversation that is new to the index is read backwards, from its latest messages.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from time import monotonic
from typing import Final, NamedTuple

from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.rows import Row, from_text
from chatkeep.adapters.piccolo.search_index_statements import (
    READ_BACK,
    READ_ON,
    SEGMENTS,
    STALE,
    WRITE,
)
from chatkeep.adapters.piccolo.search_rows import size_of, text_in
from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.domain import search_index
from chatkeep.domain.model import FIRST_POSITION, LAST_POSITION, UserId
from chatkeep.domain.search import Left
from chatkeep.domain.search_index import (
    INDEX_VERSION,
    IndexedText,
    Segment,
    build_segments,
    title_filter,
)
from chatkeep.domain.searched_text import MAX_SEARCHED_CHARS
from chatkeep.domain.threads import run_aside

MAX_CONVERSATIONS: Final = 100
"""The most conversations that a step looks at."""


class IndexBudget(NamedTuple):
    """The most that one call adds to the index: it begins no step after `seconds`, or `steps`.

    A step reads about `messages`, and about `bytes` of their texts.
    """

    seconds: float = 0.5
    steps: int = 1_000
    messages: int = 500
    bytes: int = 1_048_576


class PositionSpan(NamedTuple):
    """Positions of a conversation, whose messages are to be read."""

    low: int = FIRST_POSITION
    high: int = LAST_POSITION


@dataclass(slots=True)
class Work:
    """A conversation to be added to the index as it was at `revision`.

    `before` is the revision that the index has it at, None if it is new to the index. The messages
    of `spans` are read `backwards`, the latest first, or oldest first. Then `segments` replace
    those that begin in these spans.
    """

    id: str
    version: int
    before: int | None
    revision: int
    rest_before: int | None
    spans: list[PositionSpan]
    backwards: bool
    title: str | None = None
    segments: list[Segment] = field(default_factory=list)
    is_there: bool = False
    starts_again: bool = False

    def take(self, number: int, texts: Sequence[IndexedText], *, all_read: bool) -> None:
        """Add what was read of a span, oldest first; `all_read` if that is all of it."""
        if self.starts_again:
            return
        self.segments += build_segments(texts)
        if self.backwards:
            self.rest_before = None if all_read else texts[0].position
        elif not all_read and number == len(self.spans) - 1:
            # The rest is read next, after what is then the last segment.
            self.spans[number] = PositionSpan(self.spans[number].low, texts[-1].position)
            self.revision = self.before or 0
        elif not all_read:
            # Texts in the middle became long. The next step reads it all, as a new conversation.
            self.starts_again = True
            self.segments, self.spans, self.rest_before = [], [PositionSpan()], LAST_POSITION


class PiccoloSearchIndex:
    def __init__(self, engine: Engine, budget: IndexBudget | None = None) -> None:
        self._engine = engine
        self._budget = budget or IndexBudget()

    async def catch_up(self, user_id: UserId) -> Left:
        """Add what the index of the user does not have, and return what is left then."""
        end = monotonic() + self._budget.seconds
        for _ in range(self._budget.steps):
            stale = await self._stale(user_id, MAX_CONVERSATIONS)
            if not stale:
                return Left()
            await self._step(user_id, stale)
            if monotonic() > end:
                break
        return await self.left(user_id)

    async def left(self, user_id: UserId) -> Left:
        """Return what the index of the user does not have."""
        stale = await self._stale(user_id, 1)
        if not stale:
            return Left()
        return Left(stale[0]["conversations"], int(stale[0]["messages"]))

    async def _stale(self, user_id: UserId, limit: int) -> Sequence[Row]:
        return await self._engine.fetch(
            STALE, user_id=user_id, index_version=INDEX_VERSION, limit=limit
        )

    async def _step(self, user_id: UserId, stale: Sequence[Row]) -> None:
        """Add as many conversations as a step may read."""
        works = await self._plan(user_id, list(self._some(stale)))
        for backwards, statement in ((True, READ_BACK), (False, READ_ON)):
            part = [work for work in works if work.backwards is backwards]
            spans = [(work, number) for work in part for number in range(len(work.spans))]
            if spans:
                await self._read(user_id, statement, spans)
        await self._write(user_id, [work for work in works if work.is_there])

    def _some(self, stale: Sequence[Row]) -> Iterator[Row]:
        """Yield the first conversations, with about as many messages as a step may read."""
        count = 0
        for row in stale:
            if count and count + row["message_count"] > self._budget.messages:
                return
            yield row
            count += row["message_count"] + 1

    async def _read(
        self, user_id: UserId, statement: Statement, spans: Sequence[tuple[Work, int]]
    ) -> None:
        rows = await self._engine.fetch(
            statement,
            user_id=user_id,
            ids=[work.id for work, _ in spans],
            lows=[str(work.spans[number].low) for work, number in spans],
            highs=[str(work.spans[number].high) for work, number in spans],
            limit=self._budget.messages,
            bytes=max(1, self._budget.bytes // len(spans)),
            chars=MAX_SEARCHED_CHARS,
        )
        size = sum(map(size_of, rows))
        await run_aside(size, lambda: _take(rows, spans))

    async def _plan(self, user_id: UserId, stale: Sequence[Row]) -> list[Work]:
        """Return what to read of these conversations."""
        changed = [
            str(row["id"])
            for row in stale
            if row["revision"] not in {None, row["latest"]} and not row["is_old"]
        ]
        segments: Mapping[str, list[Row]] = {}
        if changed:
            rows = await self._engine.fetch(SEGMENTS, user_id=user_id, ids=changed)
            segments = {
                key: list(group)
                for key, group in groupby(rows, lambda row: str(row["conversation_id"]))
            }
        return [_work(row, segments.get(str(row["id"]), [])) for row in stale]

    async def _write(self, user_id: UserId, works: Sequence[Work]) -> None:
        segments = [(work.id, segment) for work in works for segment in work.segments]
        spans = [(work.id, span) for work in works for span in work.spans]
        await self._engine.fetch(
            WRITE,
            user_id=user_id,
            index_version=INDEX_VERSION,
            ids=[work.id for work in works],
            versions=[str(work.version) for work in works],
            revisions=[str(work.revision) for work in works],
            rests=[None if work.rest_before is None else str(work.rest_before) for work in works],
            titles=[_hex(title_filter(work.title)) for work in works],
            segment_ids=[its_id for its_id, _ in segments],
            firsts=[str(segment.first) for _, segment in segments],
            lasts=[str(segment.last) for _, segment in segments],
            marks=[str(segment.mark) for _, segment in segments],
            places=[_hex(segment.places) for _, segment in segments],
            filters=[_hex(segment.filter) for _, segment in segments],
            range_ids=[its_id for its_id, _ in spans],
            lows=[str(span.low) for _, span in spans],
            highs=[str(span.high) for _, span in spans],
        )


def _work(row: Row, segments: Sequence[Row]) -> Work:
    before, latest, rest = row["revision"], row["latest"], row["rest_before"]
    if row["is_old"]:  # it is made again, as if it were new
        before = rest = None
    goes_on = before == latest and rest is not None
    if goes_on or not segments:  # its beginning is new to the index, or all of it
        spans = [PositionSpan(high=rest - 1 if goes_on else LAST_POSITION)]
    else:
        *others, end = segments
        spans = [
            PositionSpan(each["first"], each["last"]) for each in others if not each["is_same"]
        ]
        spans.append(PositionSpan(low=end["last"] + 1 if _is_full(end) else end["first"]))
    return Work(
        id=str(row["id"]),
        version=row["version"] or 0,
        before=before,
        revision=latest,
        rest_before=rest,
        spans=spans,
        backwards=goes_on or not segments,
    )


def _is_full(segment: Row) -> bool:
    """Return whether new messages begin another segment. Otherwise this one is made again."""
    return segment["is_same"] and (segment["bytes"] or 0) * 2 > search_index.SEGMENT_BYTES


def _take(rows: Sequence[Row], spans: Sequence[tuple[Work, int]]) -> None:
    """Make segments of what was read of the spans."""
    for place, group in groupby(rows, lambda row: row["n"]):
        found = list(group)
        work, number = spans[place - 1]
        title = found[0]["title"]
        work.is_there, work.title = True, None if title is None else from_text(title)
        read = [row for row in found if row["position"] is not None]
        texts = [_text(row) for row in sorted(read, key=lambda row: row["position"])]
        work.take(number, texts, all_read=not read or read[-1]["is_last"])


def _text(row: Row) -> IndexedText:
    return IndexedText(row["position"], text_in(row), row["version"], row["size"])


def _hex(data: bytes) -> str:
    """Return bytes as Postgres reads them from a text."""
    return f"\\x{data.hex()}"
