"""Search in memory: all messages of the user are compared with the query."""

from collections.abc import Iterator

from chatkeep.adapters.memory.store import KeptConversation, MemoryStore
from chatkeep.domain.model import Conversation, Message, UserId
from chatkeep.domain.search import (
    MAX_READ,
    FoundMessage,
    Hit,
    Left,
    SearchFound,
    SearchPlace,
    Wanted,
    place_of_title,
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
            (place, kept, message)
            for kept in conversations
            if wanted.within in {None, kept.conversation.id}
            for place, message in _places(kept)
        ]
        places.sort(key=lambda each: each[0], reverse=True)
        hits: list[Hit] = []
        seen = set()
        read, last = 0, after
        for place, kept, message in places:
            is_past = after is None or place < after
            if is_past and len(hits) < limit and read >= max(max_read, 1):
                return SearchFound(hits, last, Left())
            last = place
            read += is_past
            if not _matches(wanted, kept.conversation, message):
                continue
            if grouped:
                if kept.conversation.id in seen:
                    continue
                seen.add(kept.conversation.id)
            if not is_past:
                continue
            if len(hits) == limit:
                return SearchFound(hits, hits[-1].place, Left())
            hits.append(_hit(place, kept.conversation, message))
        return SearchFound(hits, None, Left())


def _places(kept: KeptConversation) -> Iterator[tuple[SearchPlace, Message | None]]:
    """Yield the title, if there is one, and the messages, each with its place."""
    if kept.conversation.title is not None:
        yield place_of_title(kept.conversation), None
    for message in kept.messages:
        yield SearchPlace(message.position, kept.conversation.id, is_title=False), message


def _matches(wanted: Wanted, conversation: Conversation, message: Message | None) -> bool:
    if message is None:
        return wanted.matches(searched_title(conversation))
    return wanted.matches(searched_message(message, conversation))


def _hit(place: SearchPlace, conversation: Conversation, message: Message | None) -> Hit:
    return Hit(
        place=place,
        conversation_id=conversation.id,
        title=conversation.title,
        branch=conversation.branch,
        message=None
        if message is None
        else FoundMessage(
            message.id,
            message.position,
            message.role,
            message.created_at,
            searched_message(message, conversation).text,
        ),
    )
