"""Search in memory: all entries of the user are compared with the query."""

from collections.abc import Iterator

from chatkeep.adapters.memory.store import KeptConversation, MemoryStore
from chatkeep.domain.log import Entry
from chatkeep.domain.model import Conversation, UserId
from chatkeep.domain.search import (
    MAX_READ,
    FoundMessage,
    Hit,
    Left,
    SearchFound,
    SearchPlace,
    Wanted,
    place_of_title,
    searched_item_in,
    searched_message,
    searched_title,
)


class MemorySearch:
    def __init__(self, store: MemoryStore) -> None:
        self.store = store

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
        conversations = self.store.user(user_id).conversations.values()
        places = [
            (place, kept, entry)
            for kept in conversations
            if wanted.within in {None, kept.conversation.id}
            for place, entry in _places(kept)
        ]
        places.sort(key=lambda each: each[0], reverse=True)
        hits: list[Hit] = []
        seen = set()
        read, last = 0, after
        for place, kept, entry in places:
            is_past = after is None or place < after
            if is_past and len(hits) < limit and read >= max(max_read, 1):
                return SearchFound(hits, last, Left())
            last = place
            read += is_past
            hit = _hit_if(wanted, place, kept.conversation, entry)
            if hit is None:
                continue
            if grouped:
                if kept.conversation.id in seen:
                    continue
                seen.add(kept.conversation.id)
            if not is_past:
                continue
            if len(hits) == limit:
                return SearchFound(hits, hits[-1].place, Left())
            hits.append(hit)
        return SearchFound(hits, None, Left())


def _places(kept: KeptConversation) -> Iterator[tuple[SearchPlace, Entry | None]]:
    """Yield the title, if there is one, and the entries, each with its place."""
    if kept.conversation.title is not None:
        yield place_of_title(kept.conversation), None
    for entry in kept.entries:
        yield SearchPlace(entry.position, kept.conversation.id, is_title=False), entry


def _hit_if(
    wanted: Wanted, place: SearchPlace, conversation: Conversation, entry: Entry | None
) -> Hit | None:
    """Return the hit if it matches."""
    message = item = None
    if entry is None:
        searched = searched_title(conversation)
    elif entry.message is None:
        searched, item = searched_item_in(conversation, entry)
    else:
        searched = searched_message(entry.message, conversation)
        message = FoundMessage(
            entry.message.id,
            entry.position,
            entry.message.role,
            entry.message.created_at,
            searched.text,
        )
    if not wanted.matches(searched):
        return None
    return Hit(place, conversation.id, conversation.title, conversation.branch, message, item)
