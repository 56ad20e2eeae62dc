"""The feed of a user: what happens to all their conversations.

A reader of it remembers a time. Conversations that moved since then are looked at again, each from
how far it was read. A change may be stored some time after the time that it has: the feed goes on
that much before the time of its latest read, and remembers what it has read in between.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from chatkeep.domain.events import Mark
from chatkeep.domain.model import ConversationId, UserId

OVERLAP: Final = timedelta(seconds=60)
"""How much later than the time that it has a change may be stored, by the clock of the reader.

Clocks of processes may differ, and a statement may wait, and be repeated.
"""

MAX_REMEMBERED: Final = 1_000
"""How many conversations that moved lately are remembered: events of others may come again."""

FIRST_KEY: Final = UUID(int=0)


class FeedMark(NamedTuple):
    """How far a reader has read a feed.

    They know everything about conversations up to that time and, of those of that very time, up to
    the key. `known` are the marks of conversations that moved later. They have read only a part of
    `unfinished`.
    """

    since: datetime
    key: UUID
    known: Mapping[UUID, Mark]
    unfinished: UUID | None = None


class Moved(NamedTuple):
    """A conversation that has moved since a time: it got a message, was changed, or is gone.

    `changed` is the lowest revision of its changes since then; None without any. Of one that is
    gone, the revision is that of its deletion.
    """

    conversation_id: ConversationId
    moved_at: datetime
    created_at: datetime | None
    revision: int
    changed: int | None

    @property
    def is_gone(self) -> bool:
        return self.created_at is None


class FollowedUser(NamedTuple):
    """A user whose feed somebody follows, and since when."""

    user_id: UserId
    since: datetime
