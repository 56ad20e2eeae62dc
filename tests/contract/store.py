"""What the contract is about: the three ports, filled by one adapter or another."""

from dataclasses import dataclass

from domain.ports import Conversations, Messages, Users


@dataclass(frozen=True, slots=True)
class Store:
    users: Users
    conversations: Conversations
    messages: Messages
