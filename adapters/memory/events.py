"""Events in memory."""

from bisect import bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from chatkeep.adapters.memory.store import (
    KeptConversation,
    MemoryStore,
    by_position,
    size_of_message,
)
from chatkeep.domain.branches import MAIN
from chatkeep.domain.errors import ConversationNotFoundError
from chatkeep.domain.events import (
    ALL_CHANGES,
    ANY_REVISION,
    FROM_START,
    Event,
    EventKind,
    EventPage,
    Followed,
    Mark,
    PendingDraft,
    count_events,
)
from chatkeep.domain.feed import FIRST_KEY, FollowedUser, Moved
from chatkeep.domain.log import messages_in
from chatkeep.domain.model import ConversationId, Position, UserId, microseconds
from chatkeep.domain.pages import NO_BOUND


@dataclass(frozen=True, slots=True)
class MemoryEvents:
    store: MemoryStore

    async def latest(self, user_id: UserId, conversation_id: ConversationId) -> Mark:
        kept = self.store.conversation(user_id, conversation_id)
        mark = _latest(kept, Position(kept.last_position))
        active = _pending(kept, FROM_START)
        draft = mark.position if active is None else Position(active.number - 1)
        return mark._replace(draft=draft)

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
        kept = self.store.conversation(user_id, conversation_id)
        began = microseconds(kept.conversation.created_at)
        if after.began not in {0, began}:
            raise ConversationNotFoundError(conversation_id)
        at = bisect_right(kept.entries, after.position, key=by_position)
        new = [each.without_original() for each in messages_in(kept.entries[at:])]
        changes = [] if after.began == 0 else self._changes(user_id, conversation_id, after)
        sizes = [*map(size_of_message, new)]
        fitting = count_events(sizes, [*map(_size, changes)], limit, max_bytes)
        mark = after._replace(began=began)
        if after.began == 0:
            mark = mark._replace(revision=kept.conversation.revision, number=ALL_CHANGES)
            active = _pending(kept, FROM_START)
            earlier = kept.last_position if active is None else active.number - 1
            mark = mark._replace(draft=Position(earlier))
        before = messages_in(kept.entries[:at])
        parent = before[-1].id if before else None
        is_branched = kept.branches is not None
        events = []
        for message in new[: fitting.new]:
            mark = mark._replace(position=message.position)
            events.append(
                Event(
                    EventKind.MESSAGE_CREATED,
                    conversation_id,
                    mark,
                    message=message._replace(conversation_id=conversation_id),
                    parent_id=None if is_branched else parent,
                    branch=None if is_branched else MAIN,
                )
            )
            parent = message.id
        for event in changes[: fitting.changed]:
            mark = mark._replace(revision=event.mark.revision, number=event.mark.number)
            events.append(event._replace(mark=mark))
        more = fitting.new < len(new) or fitting.changed < len(changes)
        if not more:
            mark = mark._replace(revision=kept.conversation.revision, number=ALL_CHANGES)
        if events:
            events[-1] = events[-1]._replace(mark=mark)
        pending = _pending(kept, after)
        if pending is not None and not events and chunk_bytes:
            first, chunk = after.unread_draft
            chunks = kept.drafts[pending.number].after(
                max(0, chunk) if pending.number == first else 0, chunk_bytes
            )
            pending = pending._replace(chunks=tuple(chunks))
        return EventPage(events, mark, more, is_branched=is_branched, pending=pending)

    def _changes(
        self, user_id: UserId, conversation_id: ConversationId, after: Mark
    ) -> list[Event]:
        """Return the events of the changes after a mark, with what they changed as it is now."""
        user = self.store.user(user_id)
        now = user.conversations[conversation_id].conversation
        events = []
        for change in user.changes:
            read = (change.revision, change.number) <= (after.revision, after.number)
            if change.conversation_id != conversation_id or read or change.revision > now.revision:
                continue
            mark = after._replace(revision=change.revision, number=change.number)
            event = Event(change.kind, conversation_id, mark)
            if change.message_id is None:
                if change.kind is EventKind.CONVERSATION_UPDATED:
                    events.append(event._replace(conversation=now))
                continue
            message = user.messages.get(change.message_id)
            if change.kind is EventKind.MESSAGE_UPDATED and message is not None:
                message = message.without_original()._replace(conversation_id=conversation_id)
                events.append(event._replace(message=message))
            elif change.kind is EventKind.MESSAGE_DELETED and message is None:
                events.append(event._replace(message_id=change.message_id))
        return events

    async def forget(self, before: datetime, *, limit: int) -> int:
        forgotten = 0
        for user in self.store.users.values():
            old = [each for each in user.changes if each.at < before][: limit - forgotten]
            user.changes = [each for each in user.changes if each not in old]
            forgotten += len(old)
        return forgotten

    async def moved_since(
        self, user_id: UserId, since: datetime, key: UUID, *, limit: int
    ) -> Sequence[Moved]:
        user = self.store.user(user_id)
        found: dict[ConversationId, Moved] = {}
        for kept in user.conversations.values():
            now = kept.conversation
            if now.updated_at >= since:
                found[now.id] = Moved(now.id, now.updated_at, now.created_at, now.revision, None)
        for change in user.changes:
            if change.at < since:
                continue
            its_id, there = change.conversation_id, user.conversations.get(change.conversation_id)
            before = found.get(its_id)
            changed = change.revision
            if before is not None and before.changed is not None:
                changed = min(changed, before.changed)
            moved_at = change.at if before is None else max(change.at, before.moved_at)
            if there is None:
                found[its_id] = Moved(its_id, moved_at, None, change.revision, changed)
            else:
                now = there.conversation
                found[its_id] = Moved(its_id, moved_at, now.created_at, now.revision, changed)
        moved = sorted(found.values(), key=lambda each: (each.moved_at, each.conversation_id))
        return [each for each in moved if (each.moved_at, each.conversation_id) > (since, key)][
            :limit
        ]

    async def activity(self, followed: Sequence[FollowedUser]) -> Sequence[str]:
        return [
            str(await self.moved_since(each.user_id, each.since, FIRST_KEY, limit=1_000_000))
            for each in followed
        ]

    async def moved(self, followed: Sequence[Followed]) -> Collection[Followed]:
        return [each for each in followed if self._has_moved(each)]

    def _has_moved(self, followed: Followed) -> bool:
        kept = self.store.user(followed.user_id).conversations.get(followed.conversation_id)
        if kept is None or followed.revision not in {ANY_REVISION, kept.conversation.revision}:
            return True
        drafts = [number for number in sorted(kept.drafts) if number >= followed.draft]
        if not drafts:
            return False
        draft = kept.drafts[drafts[0]].draft
        is_new = draft.number > followed.draft or draft.next > followed.chunk + 1
        return is_new or not draft.is_active


def _pending(kept: KeptConversation, after: Mark) -> PendingDraft | None:
    first, _ = after.unread_draft
    for number in sorted(kept.drafts):
        draft = kept.drafts[number].draft
        if number >= first and (draft.is_active or after.began != 0):
            return PendingDraft(
                draft.id,
                number,
                draft.next,
                draft.format,
                draft.is_active,
                draft.progress_at,
                draft.deadline,
            )
    return None


def _latest(kept: KeptConversation, position: Position) -> Mark:
    began = microseconds(kept.conversation.created_at)
    return Mark(began, position, kept.conversation.revision, ALL_CHANGES)


def _size(event: Event) -> int:
    return 0 if event.message is None else size_of_message(event.message)
