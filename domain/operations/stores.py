"""All the ports that one store fills."""

from dataclasses import dataclass

from chatkeep.domain.operations.sweep import Diary, Sweeps
from chatkeep.domain.ports import Conversations, Log, Users


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """The ports of one store, over the same data."""

    users: Users
    conversations: Conversations
    log: Log
    sweeps: Sweeps
    diary: Diary
