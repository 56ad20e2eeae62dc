"""Branches, and alternatives to a message."""

from datetime import datetime

import msgspec


class Branch(msgspec.Struct, kw_only=True):
    """One path through a conversation.

    `parent` is the branch that it left, `left_at` the last message that it shares, `tip` its last
    message.
    """

    number: int
    name: str | None
    is_current: bool
    parent: int | None
    left_at: str | None
    tip: str | None
    created_at: datetime
    revision: int = 0


class BranchPage(msgspec.Struct, kw_only=True):
    """Branches by number. `next_cursor` is None on the last page."""

    items: list[Branch]
    next_cursor: str | None
    revision: int = 0


class Sibling(msgspec.Struct, kw_only=True):
    """A message that continues from the same message as another one, and its branch."""

    id: str
    branch: int
    is_current: bool


class Siblings(msgspec.Struct, kw_only=True):
    """All messages that continue from the same message, oldest first."""

    items: list[Sibling]
