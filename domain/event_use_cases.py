"""The use cases of events: following what happens to conversations."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from chatkeep.domain.draft_errors import DraftNotFoundError
from chatkeep.domain.draft_use_cases import DraftUseCases
from chatkeep.domain.drafts import Draft, DraftStatus
from chatkeep.domain.errors import ChangesForgottenError, ConversationNotFoundError
from chatkeep.domain.events import (
    ENDED,
    FROM_START,
    UNREAD,
    DraftDelta,
    Event,
    EventKind,
    EventPage,
    Mark,
    PendingDraft,
)
from chatkeep.domain.history import with_parents
from chatkeep.domain.hub import Hub, Watch
from chatkeep.domain.model import ConversationId, UserId, microseconds
from chatkeep.domain.ports import Clock, Events, Log

PAGE_EVENTS: Final = 100
PAGE_BYTES: Final = 64 * 1024
"""How much of the events is in memory for each reader, unless a single message is larger."""


@dataclass(frozen=True, slots=True)
class EventUseCases:
    """All methods raise `StoreUnavailableError` if the store cannot answer."""

    events: Events
    log: Log
    drafts: DraftUseCases
    hub: Hub
    clock: Clock
    kept: timedelta

    async def latest(self, user_id: UserId, conversation_id: ConversationId) -> Mark:
        """Return the mark of a reader who wants only what happens from now on.

        Raises `ConversationNotFoundError`.
        """
        latest = await self.events.latest(user_id, conversation_id)
        return latest._replace(at=self._now())

    async def read(
        self, user_id: UserId, conversation_id: ConversationId, after: Mark
    ) -> EventPage:
        """Return the next events after a mark.

        If the conversation that the mark is of is gone, that is the only event. Raises
        `ConversationNotFoundError` for the mark `FROM_START` if there is no conversation, and
        `ChangesForgottenError` if changes after the mark may have been forgotten.
        """
        try:
            page = await self.read_log(user_id, conversation_id, after, chunk_bytes=PAGE_BYTES)
            self._check_kept(after, page.mark)
            if not page.more and page.pending is not None:
                page = await self._with_draft(user_id, conversation_id, page, page.pending)
            return self._stamp(page)
        except ConversationNotFoundError:
            if after.began == FROM_START.began:
                raise
        gone = Event(EventKind.CONVERSATION_DELETED, conversation_id, FROM_START)
        return EventPage([gone], FROM_START, more=False, is_over=True)

    async def read_log(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        after: Mark,
        *,
        chunk_bytes: int = 0,
    ) -> EventPage:
        """Return the next events of messages and changes after a mark, without those of drafts.

        Raises `ConversationNotFoundError`, also if it is another one than that of the mark.
        """
        page = await self.events.read(
            user_id,
            conversation_id,
            after,
            limit=PAGE_EVENTS,
            max_bytes=PAGE_BYTES,
            chunk_bytes=chunk_bytes,
        )
        return await self._with_parents(user_id, conversation_id, page)

    @contextmanager
    def watch(
        self,
        user_id: UserId,
        conversation_id: ConversationId | None,
        since: datetime | None = None,
    ) -> Iterator[Watch]:
        """Yield a watch that is woken when there may be new events, until the block ends.

        Without a conversation, it is for the feed of the user since a time.
        """
        watch = Watch(user_id, conversation_id, since)
        self.hub.add(watch)
        try:
            yield watch
        finally:
            self.hub.remove(watch)

    async def _with_draft(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        page: EventPage,
        pending: PendingDraft,
    ) -> EventPage:
        """Return the page with what is new about a draft.

        If its producer has been gone for too long, the draft is interrupted.
        """
        first, chunk = page.mark.unread_draft
        is_new = pending.number > first or chunk == UNREAD
        reader = _DraftReader(conversation_id, page, pending)
        try:
            draft = None
            if is_new or not pending.is_active or pending.next - 1 == chunk:
                draft = await self.drafts.get(user_id, conversation_id, pending.id)
            if is_new:
                chunk = 0
                reader.add(EventKind.DRAFT_STARTED, chunk, draft=draft)
            last = (pending.next if draft is None else draft.next) - 1
            if last > chunk:
                chunks = pending.chunks or await self.drafts.drafts.chunks(
                    user_id, conversation_id, pending.number, after=chunk, max_bytes=PAGE_BYTES
                )
                if not chunks:  # they were forgotten meanwhile
                    return reader.page(ENDED, more=True)
                chunk = chunks[-1].seq
                delta = DraftDelta(pending.id, pending.format, chunks)
                reader.add(EventKind.DRAFT_DELTA, chunk, delta=delta)
        except DraftNotFoundError:
            return reader.page(ENDED, more=True)
        if last > chunk or draft is None or draft.is_active:
            return reader.page(chunk, more=last > chunk)
        is_finished = draft.status is DraftStatus.FINISHED
        kind = EventKind.DRAFT_FINISHED if is_finished else EventKind.DRAFT_INTERRUPTED
        reader.add(kind, ENDED, draft=draft)
        return reader.page(ENDED, more=True)  # another one may have started

    def _now(self) -> int:
        return microseconds(self.clock.now()) // 1_000_000

    def _check_kept(self, after: Mark, now: Mark) -> None:
        """Raise `ChangesForgottenError` if there may have been changes that are not kept now."""
        age = self._now() - after.at
        if after.at and age > self.kept.total_seconds() and after.revision != now.revision:
            raise ChangesForgottenError(in_words(self.kept))

    def _stamp(self, page: EventPage) -> EventPage:
        """Return the page with the time at which it was read in its marks."""
        now = self._now()
        events = [each._replace(mark=each.mark._replace(at=now)) for each in page.events]
        return replace(page, events=events, mark=page.mark._replace(at=now))

    async def _with_parents(
        self, user_id: UserId, conversation_id: ConversationId, page: EventPage
    ) -> EventPage:
        messages = [
            each.message
            for each in page.events
            if each.kind is EventKind.MESSAGE_CREATED and each.message is not None
        ]
        if not page.is_branched or not messages:
            return page
        found = await with_parents(self.log, user_id, conversation_id, messages)
        placed = {each.message.id: each for each in found}
        events = []
        for event in page.events:
            if event.kind is EventKind.MESSAGE_CREATED and event.message is not None:
                known = placed[event.message.id]
                events.append(event._replace(parent_id=known.parent_id, branch=known.branch))
            else:
                events.append(event)
        return replace(page, events=events)


class _DraftReader:
    """Adds the events of a draft to a page."""

    def __init__(
        self, conversation_id: ConversationId, page: EventPage, pending: PendingDraft
    ) -> None:
        self._conversation_id = conversation_id
        self._page = page
        self._events = [*page.events]
        self._mark = page.mark._replace(draft=pending.number)

    def add(
        self,
        kind: EventKind,
        chunk: int,
        *,
        draft: Draft | None = None,
        delta: DraftDelta | None = None,
    ) -> None:
        """Add an event, behind which a reader has read the draft up to a chunk."""
        mark = self._mark._replace(chunk=chunk)
        self._events.append(Event(kind, self._conversation_id, mark, draft=draft, delta=delta))

    def page(self, chunk: int, *, more: bool) -> EventPage:
        """Return the page for a reader who has read the draft up to a chunk."""
        mark = self._mark._replace(chunk=chunk)
        return replace(self._page, events=self._events, mark=mark, more=more)


def in_words(duration: timedelta) -> str:
    days, hours = duration.days, duration.seconds // 3600
    return f"{days} days" if days > 1 else f"{24 * days + hours} hours"
