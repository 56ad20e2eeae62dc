"""The use cases, on Postgres or in memory."""

from chatkeep.adapters.clock import SystemClock
from chatkeep.adapters.memory import (
    MemoryConversations,
    MemoryLog,
    MemoryStore,
    MemoryUsers,
)
from chatkeep.adapters.piccolo.conversations import PiccoloConversations
from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.log import PiccoloLog
from chatkeep.adapters.piccolo.users import PiccoloUsers
from chatkeep.domain.model import Limits
from chatkeep.domain.operations.transfer import Transfer
from chatkeep.domain.ports import Clock
from chatkeep.domain.use_cases import Chatkeep
from chatkeep.entrypoints.settings import Settings


def chatkeep(engine: Engine, settings: Settings) -> Chatkeep:
    """Return the use cases on Postgres."""
    return Chatkeep(
        users=PiccoloUsers(engine),
        conversations=PiccoloConversations(engine),
        log=PiccoloLog(engine),
        clock=SystemClock(),
        limits=settings.limits,
        provision_users=settings.provision_users,
    )


def transfer(engine: Engine, limits: Limits | None = None) -> Transfer:
    """Return import and export on Postgres; an import keeps the `limits`, if any are given."""
    return Transfer(
        users=PiccoloUsers(engine),
        conversations=PiccoloConversations(engine),
        log=PiccoloLog(engine),
        clock=SystemClock(),
        limits=limits,
    )


def memory_chatkeep(
    *,
    store: MemoryStore | None = None,
    clock: Clock | None = None,
    limits: Limits | None = None,
    provision_users: bool = True,
) -> Chatkeep:
    """Return the use cases in memory, for tests: the same behaviour without a database."""
    store = store or MemoryStore()
    return Chatkeep(
        users=MemoryUsers(store),
        conversations=MemoryConversations(store),
        log=MemoryLog(store),
        clock=clock or SystemClock(),
        limits=limits or Limits(),
        provision_users=provision_users,
    )


def memory_transfer(store: MemoryStore, *, clock: Clock | None = None) -> Transfer:
    """Return import and export in memory, on the store that `memory_chatkeep` was given."""
    return Transfer(
        users=MemoryUsers(store),
        conversations=MemoryConversations(store),
        log=MemoryLog(store),
        clock=clock or SystemClock(),
    )
