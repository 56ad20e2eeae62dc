"""The answers about users."""

from datetime import datetime
from typing import Annotated, Self

from msgspec import Meta, Struct

from chatkeep.domain.model import Usage
from chatkeep.domain.user_list import ListedUser
from chatkeep.entrypoints.http.conversation_schemas import CountOut


class UsageOut(Struct, kw_only=True):
    """The amount of data that the caller has stored."""

    user_id: str
    conversations: int
    active: int
    archived: int
    messages: int
    retained: Annotated[int, Meta(description="how many of the conversations are on hold")]

    @classmethod
    def from_domain(cls, usage: Usage) -> Self:
        return cls(
            user_id=usage.user_id,
            conversations=usage.conversations,
            active=usage.active,
            archived=usage.archived,
            messages=usage.messages,
            retained=usage.retained,
        )


class ListedUserOut(Struct, kw_only=True):
    """A user, and what they have."""

    id: str
    conversations: Annotated[
        CountOut,
        Meta(description="at most 1,000 are counted: with more, there are at least `value`"),
    ]
    latest_activity: Annotated[
        datetime | None,
        Meta(description="the latest `updated_at` of their conversations; null without any"),
    ]

    @classmethod
    def from_domain(cls, user: ListedUser) -> Self:
        counted = CountOut(value=user.conversations.value, exact=user.conversations.exact)
        return cls(id=user.id, conversations=counted, latest_activity=user.latest_activity)


class UserPageOut(Struct, kw_only=True):
    """Some users, in the order of the code points of their ids."""

    items: list[ListedUserOut]
    next_cursor: str | None


class UserOut(Struct, kw_only=True):
    """A user who may own conversations."""

    id: str
