"""Everything in dicts of this process, gone with it: for trying chatkeep out and for fast tests.

It keeps the promises of `domain.ports` within one process and one event loop: no method waits
for anything, so each call happens as a whole.
"""

from adapters.memory.conversations import MemoryConversations
from adapters.memory.items import MemoryItems
from adapters.memory.messages import MemoryMessages
from adapters.memory.store import MemoryStore
from adapters.memory.sweeps import MemoryDiary, MemorySweeps
from adapters.memory.users import MemoryUsers

__all__ = [
    "MemoryConversations",
    "MemoryDiary",
    "MemoryItems",
    "MemoryMessages",
    "MemoryStore",
    "MemorySweeps",
    "MemoryUsers",
]
