"""The stores in dicts of this process, without persistence: for trials and for fast tests.

They keep the promises of `domain.ports` within one process and one event loop: no method waits for
anything, so each call is atomic.
"""

from chatkeep.adapters.memory.conversations import MemoryConversations
from chatkeep.adapters.memory.drafts import MemoryDrafts
from chatkeep.adapters.memory.events import MemoryEvents
from chatkeep.adapters.memory.log import MemoryLog
from chatkeep.adapters.memory.search import MemorySearch
from chatkeep.adapters.memory.store import MemoryStore
from chatkeep.adapters.memory.sweeps import MemorySweeps, MemorySweepSchedule
from chatkeep.adapters.memory.users import MemoryUsers

__all__ = [
    "MemoryConversations",
    "MemoryDrafts",
    "MemoryEvents",
    "MemoryLog",
    "MemorySearch",
    "MemoryStore",
    "MemorySweepSchedule",
    "MemorySweeps",
    "MemoryUsers",
]
