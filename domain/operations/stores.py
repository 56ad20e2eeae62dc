"""All the ports that one store fills."""

from dataclasses import dataclass

from chatkeep.domain.entries import Entries
from chatkeep.domain.operations.sweep import Diary, Sweeps
from chatkeep.domain.ports import Conversations, Items, Messages, Users


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """The ports of one store, over the same data."""

    users: Users
    conversations: Conversations
    messages: Messages
    items: Items
    entries: Entries
    sweeps: Sweeps
    diary: Diary
