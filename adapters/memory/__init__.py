"""Everything in dicts of this process, gone with it: for trying chatkeep out and for fast tests.

It keeps the promises of `domain.ports` within one process and one event loop: no method waits
for anything, so each call happens as a whole.
"""

from chatkeep.adapters.memory.conversations import MemoryConversations
from chatkeep.adapters.memory.log import MemoryLog
from chatkeep.adapters.memory.store import MemoryStore
from chatkeep.adapters.memory.sweeps import MemorySweeps, MemorySweepSchedule
from chatkeep.adapters.memory.users import MemoryUsers

__all__ = [
    "MemoryConversations",
    "MemoryLog",
    "MemoryStore",
    "MemorySweepSchedule",
    "MemorySweeps",
    "MemoryUsers",
]
