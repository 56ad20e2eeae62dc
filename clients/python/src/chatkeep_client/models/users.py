"""The user, and other users for service keys."""

from datetime import datetime

import msgspec

from chatkeep_client.models.conversations import Count


class Usage(msgspec.Struct, kw_only=True):
    """How much the user has stored. `retained` is how many conversations are on hold."""

    user_id: str
    conversations: int
    active: int
    archived: int
    messages: int
    retained: int


class ListedUser(msgspec.Struct, kw_only=True):
    """A user. At most 1,000 conversations are counted; without any there is no activity."""

    id: str
    conversations: Count
    latest_activity: datetime | None


class UserPage(msgspec.Struct, kw_only=True):
    """Users by id. `next_cursor` is None on the last page."""

    items: list[ListedUser]
    next_cursor: str | None


class User(msgspec.Struct, kw_only=True):
    """A user who may own conversations. `created` says whether they are new."""

    id: str
    created: bool = False
