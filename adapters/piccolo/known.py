"""Remembers which conversations need another statement than most."""

from chatkeep.domain.model import (
    ConversationId,
)


class Known:
    """Conversations of which something was true when they were last read, at most `most` of them.

    It decides which statement is sent first. It is only a guess: if it is wrong, a read takes a
    second statement.
    """

    def __init__(self, most: int = 10_000) -> None:
        self._ids: dict[ConversationId, None] = {}
        self._most = most

    def has(self, conversation_id: ConversationId) -> bool:
        return conversation_id in self._ids

    def add(self, conversation_id: ConversationId) -> None:
        if len(self._ids) >= self._most:
            del self._ids[next(iter(self._ids))]
        self._ids[conversation_id] = None

    def discard(self, conversation_id: ConversationId) -> None:
        self._ids.pop(conversation_id, None)
