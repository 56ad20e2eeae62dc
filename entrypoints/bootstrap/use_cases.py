"""The use cases, on Postgres or in memory."""

from chatkeep.adapters.clock import SystemClock
from chatkeep.adapters.memory.stores import memory_stores
from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.stores import piccolo_stores
from chatkeep.domain.model import Limits
from chatkeep.domain.operations.transfer import Transfer
from chatkeep.domain.ports import Clock, Stores
from chatkeep.domain.use_cases import Chatkeep
from chatkeep.entrypoints.settings import Settings


def chatkeep(engine: Engine, settings: Settings) -> Chatkeep:
    """Return the use cases on Postgres."""
    return _chatkeep(
        piccolo_stores(engine),
        SystemClock(),
        settings.limits,
        provision_users=settings.provision_users,
    )


def memory_chatkeep(
    *, clock: Clock | None = None, limits: Limits | None = None, provision_users: bool = True
) -> Chatkeep:
    """Return the use cases in memory, for tests: the same behaviour without a database."""
    return _chatkeep(
        memory_stores(),
        clock or SystemClock(),
        limits or Limits(),
        provision_users=provision_users,
    )


def transfer(chatkeep: Chatkeep, limits: Limits | None = None) -> Transfer:
    """Return import and export on the same stores; an import keeps the `limits`, if any."""
    return Transfer(
        chatkeep.users, chatkeep.conversations, chatkeep.log, chatkeep.clock, limits=limits
    )


def _chatkeep(stores: Stores, clock: Clock, limits: Limits, *, provision_users: bool) -> Chatkeep:
    return Chatkeep(
        users=stores.users,
        conversations=stores.conversations,
        log=stores.log,
        clock=clock,
        limits=limits,
        provision_users=provision_users,
    )
