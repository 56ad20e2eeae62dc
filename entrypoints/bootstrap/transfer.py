"""Whole conversations in and out, on Postgres."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from adapters.clock import SystemClock
from adapters.database_url import parse_database_url
from adapters.piccolo import statistics
from adapters.piccolo.conversations import PiccoloConversations
from adapters.piccolo.engine import Engine
from adapters.piccolo.messages import PiccoloMessages
from adapters.piccolo.retries import Timing
from adapters.piccolo.users import PiccoloUsers
from domain.model import Limits
from domain.transfer import Transfer
from entrypoints.bootstrap.database import engine
from entrypoints.settings import Settings

WHOLE_CONVERSATION_SECONDS: Final = 300.0
"""To send a conversation of many thousand messages to a database far away takes its time."""


@asynccontextmanager
async def transfer_on(settings: Settings, limits: Limits) -> AsyncIterator[Transfer]:
    """Yield the import and export of whole conversations on the settings' Postgres."""
    timing = Timing(command=WHOLE_CONVERSATION_SECONDS)
    database = Engine(parse_database_url(settings.database_url).connect_args, timing)
    await database.start_connection_pool()
    try:
        yield Transfer(
            users=PiccoloUsers(database),
            conversations=PiccoloConversations(database),
            messages=PiccoloMessages(database),
            clock=SystemClock(),
            limits=limits,
        )
    finally:
        await database.close_connection_pool()


async def refresh_statistics(settings: Settings) -> None:
    """Tell the database to count its rows anew. Raises `StoreUnavailableError`."""
    await statistics.refresh(engine(settings))
