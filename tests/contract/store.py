"""What the contract is about: the four ports, filled by one adapter or another."""

from dataclasses import dataclass

from chatkeep.domain.ports import Conversations, Items, Messages, Users


@dataclass(frozen=True, slots=True)
class Store:
    users: Users
    conversations: Conversations
    messages: Messages
    items: Items
