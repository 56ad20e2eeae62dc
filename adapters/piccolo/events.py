"""Events on Postgres: a page is one statement.

Only large messages, and changes of the conversation itself, need another one.
"""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from chatkeep.adapters.piccolo.by_user import fetch_by_user
from chatkeep.adapters.piccolo.event_statements import (
    ACTIVITY,
    ACTIVITY_OF_USER,
    FORGET,
    LATEST,
    MOVED,
    MOVED_OF_USER,
    MOVED_SINCE,
    READ,
)
from chatkeep.adapters.piccolo.log_reader import LogReader
from chatkeep.adapters.piccolo.rows import Row, from_text, to_message
from chatkeep.domain.branches import MAIN
from chatkeep.domain.drafts import Chunk, DraftId, DraftStatus, deadline
from chatkeep.domain.errors import ConversationNotFoundError
from chatkeep.domain.events import (
    ALL_CHANGES,
    ANY_REVISION,
    Event,
    EventKind,
    EventPage,
    Followed,
    Mark,
    PendingDraft,
    count_events,
)
from chatkeep.domain.feed import FollowedUser, Moved
from chatkeep.domain.ids import key_text, with_text
from chatkeep.domain.log import View
from chatkeep.domain.model import (
    LAST_POSITION,
    ConversationId,
    MessageId,
    Position,
    UserId,
    microseconds,
)
from chatkeep.domain.pages import NO_BOUND


class PiccoloEvents(LogReader):
    async def latest(self, user_id: UserId, conversation_id: ConversationId) -> Mark:
        rows = await self._engine.fetch(LATEST, user_id=user_id, conversation_id=conversation_id)
        if not rows:
            raise ConversationNotFoundError(conversation_id)
        [row] = rows
        last = row["last_position"]
        draft = last if row["active"] is None else row["active"] - 1
        return _latest(row, last)._replace(draft=Position(draft))

    async def read(  # noqa: PLR0913 - the port's
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        after: Mark,
        *,
        limit: int,
        max_bytes: int = NO_BOUND,
        chunk_bytes: int = 0,
    ) -> EventPage:
        share = max_bytes // limit
        draft, chunk = after.unread_draft
        rows = await self._engine.fetch(
            READ,
            user_id=user_id,
            conversation_id=conversation_id,
            after=after.position,
            # A reader who starts gets the messages as they are now.
            revision=LAST_POSITION if after.began == 0 else after.revision,
            number=after.number,
            draft=draft,
            chunk=max(0, chunk),
            chunk_bytes=chunk_bytes,
            is_start=after.began == 0,
            limit=limit + 1,
            share=share,
        )
        if not rows or after.began not in {0, microseconds(rows[0]["began"])}:
            raise ConversationNotFoundError(conversation_id)
        state = rows[0]
        new = [row for row in rows if row["changed"] is None and row["position"] is not None]
        changed = [row for row in rows if row["changed"] is not None]
        fitting = count_events(_sizes(new), _sizes(changed), limit, max_bytes)
        mark = after._replace(began=microseconds(state["began"]))
        if after.began == 0:
            mark = mark._replace(revision=state["revision"], number=ALL_CHANGES)
            # Those that have ended are in the log.
            earlier = state["last_position"] if state["draft"] is None else state["draft"] - 1
            mark = mark._replace(draft=Position(earlier))
        new_ones = await self._whole(
            user_id, conversation_id, new[: fitting.new], share, View.MESSAGES
        )
        events = [*_creations(state, new_ones, conversation_id, mark)]
        if fitting.new:
            mark = mark._replace(position=new[fitting.new - 1]["position"])
        page = changed[: fitting.changed]
        there = [row for row in page if row["position"] is not None]
        whole = await self._whole(user_id, conversation_id, there, share, View.MESSAGES)
        events += _changes(page, whole, conversation_id, mark)
        if any(event.kind is EventKind.CONVERSATION_UPDATED for event in events):
            now = await self.conversations.get(user_id, conversation_id)
            events = [
                event._replace(conversation=now)
                if event.kind is EventKind.CONVERSATION_UPDATED
                else event
                for event in events
            ]
        if page:
            mark = mark._replace(revision=page[-1]["changed"], number=page[-1]["number"])
        more = fitting.new < len(new) or fitting.changed < len(changed)
        if not more:
            mark = mark._replace(revision=state["revision"], number=ALL_CHANGES)
        if events:
            events[-1] = events[-1]._replace(mark=mark)
        return EventPage(
            events,
            mark,
            more,
            is_branched=state["branch"] is not None,
            pending=_pending(state, chunk if state["draft"] == draft else 0),
        )

    async def forget(self, before: datetime, *, limit: int) -> int:
        return len(await self._engine.fetch(FORGET, before=before, limit=limit))

    async def moved_since(
        self, user_id: UserId, since: datetime, key: UUID, *, limit: int
    ) -> Sequence[Moved]:
        rows = await self._engine.fetch(
            MOVED_SINCE, user_id=user_id, since=since, key=key, limit=limit
        )
        return [
            Moved(
                ConversationId(with_text(row["id"], row["text_id"])),
                row["moved_at"],
                row["created_at"],
                row["revision"],
                row["changed"],
            )
            for row in rows
        ]

    async def activity(self, followed: Sequence[FollowedUser]) -> Sequence[str]:
        found = await fetch_by_user(
            self._engine, ACTIVITY, ACTIVITY_OF_USER, followed, _user_of, _since_values
        )
        # The same one twice is as active both times.
        by_follower = {
            follower: row["activity"]
            for those, rows in found
            for follower, row in zip(those, rows, strict=True)
        }
        return [by_follower[each] for each in followed]

    async def moved(self, followed: Sequence[Followed]) -> Collection[Followed]:
        found = await fetch_by_user(
            self._engine, MOVED, MOVED_OF_USER, followed, _user_of, _mark_values
        )
        return [those[row["n"] - 1] for those, rows in found for row in rows]


def _user_of(followed: Followed | FollowedUser) -> UserId:
    return followed.user_id


def _since_values(followed: Sequence[FollowedUser]) -> dict[str, Any]:
    return {
        "user_ids": [each.user_id for each in followed],
        "sinces": [each.since.isoformat() for each in followed],
    }


def _mark_values(followed: Sequence[Followed]) -> dict[str, Any]:
    return {
        "any_revision": ANY_REVISION,
        "user_ids": [each.user_id for each in followed],
        "ids": [key_text(each.conversation_id) for each in followed],
        "revisions": [str(each.revision) for each in followed],
        "drafts": [str(each.draft) for each in followed],
        "chunks": [str(each.chunk) for each in followed],
    }


def _latest(row: Row, position: Position) -> Mark:
    """Return the mark of a reader who has read everything, with the last message they read."""
    return Mark(microseconds(row["began"]), position, row["revision"], ALL_CHANGES)


def _pending(row: Row, after: int) -> PendingDraft | None:
    """Return the draft of a row, with the chunks after one that came along."""
    if row["draft"] is None:
        return None
    texts = row["chunks"] or ()
    chunks = enumerate(map(from_text, texts), (row["last_chunk"] or 0) - len(texts) + 1)
    return PendingDraft(
        DraftId(with_text(row["draft_id"], row["draft_text_id"])),
        row["draft"],
        row["next_chunk"],
        from_text(row["draft_format"]),
        row["draft_status"] == DraftStatus.ACTIVE,
        row["draft_progress_at"],
        deadline(row["draft_progress_at"], row["draft_lease"], row["draft_ends_by"]),
        tuple(Chunk(seq, text) for seq, text in chunks if seq > after),
    )


def _sizes(rows: Sequence[Row]) -> list[int]:
    return [row["bytes"] for row in rows]


def _creations(
    state: Row, rows: Sequence[Row], conversation_id: ConversationId, mark: Mark
) -> Iterator[Event]:
    """Yield the events of new messages, each with a mark as the given one, at its position."""
    is_branched, parent = state["branch"] is not None, None
    if state["parent_id"] is not None:
        parent = MessageId(with_text(state["parent_id"], state["parent_text_id"]))
    for row in rows:
        message = to_message(row, conversation_id)
        yield Event(
            EventKind.MESSAGE_CREATED,
            conversation_id,
            mark._replace(position=message.position),
            message=message,
            parent_id=None if is_branched else parent,
            branch=None if is_branched else MAIN,
        )
        parent = message.id


def _changes(
    rows: Sequence[Row], there: Sequence[Row], conversation_id: ConversationId, mark: Mark
) -> Iterator[Event]:
    """Yield the events of changes. `there` are the messages that still exist."""
    messages = {row["id"]: row for row in there}
    for row in rows:
        kind, key = EventKind(row["kind"]), row["gone_id"]
        at = mark._replace(revision=row["changed"], number=row["number"])
        if kind is EventKind.MESSAGE_UPDATED and key in messages:
            message = to_message(messages[key], conversation_id)
            yield Event(kind, conversation_id, at, message=message)
        elif kind is EventKind.MESSAGE_DELETED and key not in messages:
            message_id = MessageId(with_text(key, row["gone_text_id"]))
            yield Event(kind, conversation_id, at, message_id=message_id)
        elif kind is EventKind.CONVERSATION_UPDATED:
            yield Event(kind, conversation_id, at)
