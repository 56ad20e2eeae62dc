"""The answers about users."""

from typing import Annotated, Self

from msgspec import Meta, Struct

from chatkeep.domain.model import Usage


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


class UserOut(Struct, kw_only=True):
    """A user who may own conversations."""

    id: str
