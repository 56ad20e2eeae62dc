"""All stores on one set of dicts."""

from chatkeep.adapters.memory.audit import MemoryAudit
from chatkeep.adapters.memory.conversations import MemoryConversations
from chatkeep.adapters.memory.drafts import MemoryDrafts
from chatkeep.adapters.memory.events import MemoryEvents
from chatkeep.adapters.memory.log import MemoryLog
from chatkeep.adapters.memory.overview import MemoryOverviews
from chatkeep.adapters.memory.search import MemorySearch
from chatkeep.adapters.memory.store import MemoryStore
from chatkeep.adapters.memory.sweeps import MemorySweeps, MemorySweepSchedule
from chatkeep.adapters.memory.users import MemoryUsers
from chatkeep.domain.ports import Stores


def memory_stores(store: MemoryStore | None = None) -> Stores:
    """Return all stores on `store`; if it is None, on a new one."""
    store = store or MemoryStore()
    return Stores(
        users=MemoryUsers(store),
        conversations=MemoryConversations(store),
        log=MemoryLog(store),
        events=MemoryEvents(store),
        drafts=MemoryDrafts(store),
        search=MemorySearch(store),
        sweeps=MemorySweeps(store),
        sweep_schedule=MemorySweepSchedule(),
        audit=MemoryAudit(store),
        overviews=MemoryOverviews(store),
    )
