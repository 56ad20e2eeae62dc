"""The use cases, on Postgres or in memory."""

from chatkeep.adapters.clock import SystemClock
from chatkeep.adapters.memory import (
    MemoryConversations,
    MemoryItems,
    MemoryMessages,
    MemoryStore,
    MemoryUsers,
)
from chatkeep.adapters.piccolo.conversations import PiccoloConversations
from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.items import PiccoloItems
from chatkeep.adapters.piccolo.messages import PiccoloMessages
from chatkeep.adapters.piccolo.users import PiccoloUsers
from chatkeep.domain.model import Limits
from chatkeep.domain.ports import Clock
from chatkeep.domain.use_cases import Chatkeep
from chatkeep.entrypoints.settings import Settings


def chatkeep(engine: Engine, settings: Settings) -> Chatkeep:
    """Return the service on Postgres."""
    return Chatkeep(
        users=PiccoloUsers(engine),
        conversations=PiccoloConversations(engine),
        messages=PiccoloMessages(engine),
        items=PiccoloItems(engine),
        clock=SystemClock(),
        limits=settings.limits,
        provision_users=settings.provision_users,
    )


def memory_chatkeep(
    *, clock: Clock | None = None, limits: Limits | None = None, provision_users: bool = True
) -> Chatkeep:
    """Return the service on dicts of this process, for tests: the same behaviour, no database."""
    store = MemoryStore()
    return Chatkeep(
        users=MemoryUsers(store),
        conversations=MemoryConversations(store),
        messages=MemoryMessages(store),
        items=MemoryItems(store),
        clock=clock or SystemClock(),
        limits=limits or Limits(),
        provision_users=provision_users,
    )
