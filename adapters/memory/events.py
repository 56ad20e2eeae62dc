"""Events in memory."""

from bisect import bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from chatkeep.adapters.memory.store import (
    KeptConversation,
    MemoryStore,
    by_position,
    size_of_message,
)
from chatkeep.domain.branches import MAIN
from chatkeep.domain.errors import ConversationNotFoundError
from chatkeep.domain.events import ALL_CHANGES, Event, EventKind, EventPage, Followed, Mark
from chatkeep.domain.log import messages_in
from chatkeep.domain.model import ConversationId, Position, UserId, microseconds
from chatkeep.domain.pages import NO_BOUND, count_fitting


@dataclass(frozen=True, slots=True)
class MemoryEvents:
    store: MemoryStore

    async def latest(self, user_id: UserId, conversation_id: ConversationId) -> Mark:
        kept = self.store.conversation(user_id, conversation_id)
        return _latest(kept, Position(kept.last_position))

    async def read(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        after: Mark,
        *,
        limit: int,
        max_bytes: int = NO_BOUND,
    ) -> EventPage:
        kept = self.store.conversation(user_id, conversation_id)
        began = microseconds(kept.conversation.created_at)
        if after.began not in {0, began}:
            raise ConversationNotFoundError(conversation_id)
        at = bisect_right(kept.entries, after.position, key=by_position)
        before = messages_in(kept.entries[:at])
        found = [each.without_original() for each in messages_in(kept.entries[at:])]
        page = found[: count_fitting(map(size_of_message, found[:limit]), max_bytes)]
        more = len(page) < len(found)
        is_branched = kept.branches is not None
        mark = after._replace(began=began, position=page[-1].position if page else after.position)
        events, parent = [], before[-1].id if before else None
        for message in page:
            events.append(
                Event(
                    EventKind.MESSAGE_CREATED,
                    conversation_id,
                    mark._replace(position=message.position),
                    message._replace(conversation_id=conversation_id),
                    None if is_branched else parent,
                    None if is_branched else MAIN,
                )
            )
            parent = message.id
        if not more:
            mark = _latest(kept, mark.position)
        if events:
            events[-1] = events[-1]._replace(mark=mark)
        return EventPage(events, mark, more, is_branched=is_branched)

    async def moved(self, followed: Sequence[Followed]) -> Collection[Followed]:
        return [each for each in followed if self._revision(each) != each.revision]

    def _revision(self, followed: Followed) -> int | None:
        kept = self.store.user(followed.user_id).conversations.get(followed.conversation_id)
        return None if kept is None else kept.conversation.revision


def _latest(kept: KeptConversation, position: Position) -> Mark:
    began = microseconds(kept.conversation.created_at)
    return Mark(began, position, kept.conversation.revision, ALL_CHANGES)
