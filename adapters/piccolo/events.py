"""Events on Postgres: each call is one statement. Only large messages need a second one."""

from collections.abc import Collection, Iterator, Sequence

from chatkeep.adapters.piccolo.event_statements import LATEST, MOVED, READ
from chatkeep.adapters.piccolo.log_reader import LogReader, are_withheld
from chatkeep.adapters.piccolo.rows import Row, to_message
from chatkeep.domain.branches import MAIN
from chatkeep.domain.errors import ConversationNotFoundError
from chatkeep.domain.events import ALL_CHANGES, Event, EventKind, EventPage, Followed, Mark
from chatkeep.domain.ids import key_text, with_text
from chatkeep.domain.log import View
from chatkeep.domain.model import ConversationId, MessageId, Position, UserId, microseconds
from chatkeep.domain.pages import NO_BOUND, count_fitting


class PiccoloEvents(LogReader):
    async def latest(self, user_id: UserId, conversation_id: ConversationId) -> Mark:
        rows = await self._engine.fetch(LATEST, user_id=user_id, conversation_id=conversation_id)
        if not rows:
            raise ConversationNotFoundError(conversation_id)
        return _latest(rows[0], rows[0]["last_position"])

    async def read(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        after: Mark,
        *,
        limit: int,
        max_bytes: int = NO_BOUND,
    ) -> EventPage:
        share = max_bytes // limit
        rows = await self._engine.fetch(
            READ,
            user_id=user_id,
            conversation_id=conversation_id,
            after=after.position,
            limit=limit + 1,
            share=share,
        )
        if not rows or after.began not in {0, microseconds(rows[0]["began"])}:
            raise ConversationNotFoundError(conversation_id)
        found = [row for row in rows if row["position"] is not None]
        page = found[:limit]
        if are_withheld(page, share):
            page = page[: count_fitting((row["bytes"] for row in page), max_bytes)]
        more = len(page) < len(found)
        last = page[-1]["position"] if page else after.position
        whole = await self._whole(user_id, conversation_id, page, share, View.MESSAGES)
        mark = after._replace(began=microseconds(rows[0]["began"]), position=last)
        events = [*_events(rows[0], whole, conversation_id, mark)]
        if not more:
            mark = _latest(rows[0], last)
        if events:
            events[-1] = events[-1]._replace(mark=mark)
        return EventPage(events, mark, more, is_branched=rows[0]["branch"] is not None)

    async def moved(self, followed: Sequence[Followed]) -> Collection[Followed]:
        rows = await self._engine.fetch(
            MOVED,
            user_ids=[each.user_id for each in followed],
            ids=[key_text(each.conversation_id) for each in followed],
            revisions=[str(each.revision) for each in followed],
        )
        return [followed[row["n"] - 1] for row in rows]


def _latest(row: Row, position: Position) -> Mark:
    """Return the mark of a reader who has read everything, with the last message they read."""
    return Mark(microseconds(row["began"]), position, row["revision"], ALL_CHANGES)


def _events(
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
            message,
            None if is_branched else parent,
            None if is_branched else MAIN,
        )
        parent = message.id
