"""The use case of the feed: following what happens to all conversations of a user."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from chatkeep.domain.errors import ChangesForgottenError, ConversationNotFoundError
from chatkeep.domain.event_use_cases import PAGE_EVENTS, EventUseCases, in_words
from chatkeep.domain.events import ALL_CHANGES, FROM_START, Event, EventKind, Mark
from chatkeep.domain.feed import FIRST_KEY, MAX_REMEMBERED, OVERLAP, FeedMark, Moved
from chatkeep.domain.log import BEFORE_FIRST
from chatkeep.domain.model import EPOCH, Position, UserId, microseconds
from chatkeep.domain.ports import Conversations

MAX_MOVED = 50
"""How many conversations are looked at for one page."""


class FeedPage(NamedTuple):
    """Events of conversations. `mark` is that of a reader who has read all of them."""

    events: Sequence[Event]
    mark: FeedMark
    more: bool


@dataclass(frozen=True, slots=True)
class FeedUseCases:
    """Both methods raise `StoreUnavailableError` if the store cannot answer."""

    live: EventUseCases
    conversations: Conversations

    def latest(self) -> FeedMark:
        """Return the mark of a reader who wants only what happens from now on."""
        return FeedMark(self.live.clock.now() - OVERLAP, FIRST_KEY, {})

    async def start(self, user_id: UserId) -> FeedMark:
        """Return the same, without what has happened within the overlap."""
        mark = self.latest()
        while True:
            page = await self.read(user_id, mark)
            mark = page.mark
            if not page.more:
                return mark

    async def read(self, user_id: UserId, after: FeedMark) -> FeedPage:
        """Return the next events after a mark, conversation by conversation.

        Raises `ChangesForgottenError` if changes after the mark may have been forgotten.
        """
        at = self.live.clock.now()
        if after.since != EPOCH and at - after.since > self.live.kept + OVERLAP:
            raise ChangesForgottenError(in_words(self.live.kept))
        reading = _Reading(after, dict(after.known))
        while not reading.is_full:
            moved = await self.live.events.moved_since(user_id, *reading.place, limit=MAX_MOVED)
            for each in moved:
                if reading.is_full:
                    break
                known = reading.known.pop(each.conversation_id, None)
                is_unfinished = each.conversation_id == after.unfinished
                if known is not None and _is_read(each, known) and not is_unfinished:
                    reading.add(each, (), known, more=False)
                else:
                    events, mark, more = await self._read_one(user_id, each, known, after.since)
                    reading.add(each, events, mark, more=more)
            if len(moved) < MAX_MOVED:
                break
        return reading.page(at - OVERLAP)

    async def _read_one(
        self, user_id: UserId, moved: Moved, known: Mark | None, since: datetime
    ) -> tuple[Sequence[Event], Mark, bool]:
        """Return the new events of a conversation, the mark behind them, and whether others follow.

        A conversation that is new to the reader and younger than the mark has been created since.
        """
        its_id = moved.conversation_id
        mark = _start(moved, known, since)
        if mark is None:
            return _gone(moved)
        events = []
        try:
            if mark == FROM_START:
                new = await self.conversations.get(user_id, its_id)
                kind = EventKind.CONVERSATION_CREATED
                events.append(Event(kind, its_id, mark, conversation=new))
            page = await self.live.read_log(user_id, its_id, mark)
        except ConversationNotFoundError:
            return _gone(moved._replace(revision=moved.revision + 1))
        return [*events, *page.events], page.mark, page.more


class _Reading:
    """A page that is being read. `place` is where to look for other conversations."""

    def __init__(self, after: FeedMark, known: dict[UUID, Mark]) -> None:
        self.known = known
        self.is_full = False
        self.place = (after.since, after.key)
        self._after = after
        self._events: list[Event] = []
        self._moved_at: dict[UUID, datetime] = {}
        self._unfinished: UUID | None = None

    def add(self, moved: Moved, events: Sequence[Event], mark: Mark, *, more: bool) -> None:
        """Add the events of a conversation. If others follow, the page is full."""
        self._events += events
        self.known[moved.conversation_id] = mark
        self._moved_at[moved.conversation_id] = moved.moved_at
        self.is_full = more or len(self._events) >= PAGE_EVENTS
        if more:
            self._unfinished = UUID(int=moved.conversation_id.int)
        else:
            self.place = (moved.moved_at, UUID(int=moved.conversation_id.int))

    def page(self, until: datetime) -> FeedPage:
        """Return the page. Nothing is passed that is later than `until`."""
        since, key = self._after.since, self._after.key
        if not self.is_full and until > since:
            since, key = until, FIRST_KEY
        elif since < self.place[0] < until:
            since, key = self.place
        known = {
            its_id: mark
            for its_id, mark in self.known.items()
            if self._moved_at.get(its_id, since if self.is_full else EPOCH) >= since
        }
        kept = dict([*known.items()][-MAX_REMEMBERED:])
        return FeedPage(self._events, FeedMark(since, key, kept, self._unfinished), self.is_full)


def _is_read(moved: Moved, known: Mark) -> bool:
    """Return whether a reader with this mark knows everything about a conversation."""
    began = 0 if moved.created_at is None else microseconds(moved.created_at)
    return (known.began, known.revision) == (began, moved.revision)


def _start(moved: Moved, known: Mark | None, since: datetime) -> Mark | None:
    """Return from where on to read a conversation; None if it is gone."""
    if moved.created_at is None:
        return None
    began = microseconds(moved.created_at)
    if known is not None and known.began == began:
        return known
    if moved.created_at > since:
        return FROM_START
    revision = moved.revision if moved.changed is None else moved.changed - 1
    return Mark(began, Position(max(0, microseconds(since))), revision, ALL_CHANGES)


def _gone(moved: Moved) -> tuple[Sequence[Event], Mark, bool]:
    """Return the event of a conversation that is gone, unless the reader knows it."""
    mark = Mark(0, BEFORE_FIRST, moved.revision, ALL_CHANGES)
    return [Event(EventKind.CONVERSATION_DELETED, moved.conversation_id, mark)], mark, False
