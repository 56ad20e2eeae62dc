"""Whole conversations in and out, on Postgres."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from chatkeep.adapters.clock import SystemClock
from chatkeep.adapters.database_url import parse_database_url
from chatkeep.adapters.memory import MemoryItems
from chatkeep.adapters.memory.entries import MemoryEntries
from chatkeep.adapters.piccolo.conversations import PiccoloConversations
from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.entries import PiccoloEntries
from chatkeep.adapters.piccolo.retries import Timing
from chatkeep.adapters.piccolo.users import PiccoloUsers
from chatkeep.domain.model import Limits
from chatkeep.domain.operations.transfer import Transfer
from chatkeep.domain.use_cases import Chatkeep
from chatkeep.entrypoints.settings import Settings

WHOLE_CONVERSATION_SECONDS: Final = 300.0
"""To send a conversation of many thousand messages to a database far away takes its time."""


def transfer(database: Engine, limits: Limits | None = None) -> Transfer:
    """Return the import and export of whole conversations on a database."""
    return Transfer(
        users=PiccoloUsers(database),
        conversations=PiccoloConversations(database),
        entries=PiccoloEntries(database),
        clock=SystemClock(),
        limits=limits,
    )


def memory_transfer(chatkeep: Chatkeep) -> Transfer | None:
    """Return the same on the dicts that this service is on; None when it is on something else."""
    if not isinstance(chatkeep.items, MemoryItems):
        return None
    return Transfer(
        users=chatkeep.users,
        conversations=chatkeep.conversations,
        entries=MemoryEntries(chatkeep.items.store),
        clock=chatkeep.clock,
    )


@asynccontextmanager
async def transfer_on(settings: Settings, limits: Limits | None = None) -> AsyncIterator[Transfer]:
    """Yield the import and export of whole conversations on the settings' Postgres.

    `limits` are those that an import keeps.
    """
    timing = Timing(command=WHOLE_CONVERSATION_SECONDS)
    database = Engine(parse_database_url(settings.database_url).connect_args, timing)
    async with database.pooled():
        yield transfer(database, limits)
