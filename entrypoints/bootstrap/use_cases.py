"""The use cases, on Postgres or in memory.

The blocks whose names end in `_on` are for commands, on the Postgres of the settings. They raise
`StoreUnavailableError` when it cannot serve, and `DatabaseError` when it refuses a statement.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

from chatkeep.adapters.clock import SystemClock
from chatkeep.adapters.database_url import parse_database_url
from chatkeep.adapters.memory.stores import memory_stores
from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.errors import translate_errors
from chatkeep.adapters.piccolo.retries import Timing
from chatkeep.adapters.piccolo.search_users import PiccoloSearchIndexes
from chatkeep.adapters.piccolo.stores import piccolo_stores
from chatkeep.adapters.piccolo.sweeps import PiccoloSweeps
from chatkeep.domain.audit import AUDIT_KEPT
from chatkeep.domain.audit_use_cases import AuditUseCases
from chatkeep.domain.draft_use_cases import DraftUseCases
from chatkeep.domain.drafts import DRAFTS_KEPT
from chatkeep.domain.events import CHANGES_KEPT
from chatkeep.domain.hub import Hub
from chatkeep.domain.idle import Cutoffs
from chatkeep.domain.model import Limits
from chatkeep.domain.notifying import (
    notifying_conversations,
    notifying_drafts,
    notifying_log,
)
from chatkeep.domain.operations.indexing import Indexing
from chatkeep.domain.operations.sweep import Policy, Sweep
from chatkeep.domain.operations.transfer import Transfer
from chatkeep.domain.ports import Clock, Stores
from chatkeep.domain.use_cases import Chatkeep
from chatkeep.entrypoints.bootstrap.database import make_engine, make_unpooled_engine
from chatkeep.entrypoints.settings import Settings

WHOLE_CONVERSATION: Final = Timing(command=300.0)
"""To send many thousand messages in one statement to a database far away takes its time."""


def chatkeep(engine: Engine, settings: Settings) -> Chatkeep:
    """Return the use cases on Postgres."""
    return _chatkeep(
        piccolo_stores(engine),
        SystemClock(),
        settings.limits,
        provision_users=settings.provision_users,
        changes_kept=settings.changes_kept,
        drafts_kept=settings.drafts_kept,
        audit_kept=settings.audit_kept,
    )


def memory_chatkeep(  # noqa: PLR0913 - the settings that use cases have
    *,
    clock: Clock | None = None,
    limits: Limits | None = None,
    provision_users: bool = True,
    changes_kept: timedelta = CHANGES_KEPT,
    drafts_kept: timedelta = DRAFTS_KEPT,
    audit_kept: timedelta = AUDIT_KEPT,
) -> Chatkeep:
    """Return the use cases in memory, for tests: the same behaviour without a database."""
    return _chatkeep(
        memory_stores(),
        clock or SystemClock(),
        limits or Limits(),
        provision_users=provision_users,
        changes_kept=changes_kept,
        drafts_kept=drafts_kept,
        audit_kept=audit_kept,
    )


def transfer(chatkeep: Chatkeep, limits: Limits | None = None) -> Transfer:
    """Return import and export on the same stores; an import keeps the `limits`, if any."""
    return Transfer(
        chatkeep.users, chatkeep.conversations, chatkeep.log, chatkeep.clock, limits=limits
    )


@asynccontextmanager
async def use_cases_on(settings: Settings) -> AsyncIterator[Chatkeep]:
    """Yield the use cases without a pool.

    Each call has its own connection. When it is interrupted, the server has undone what it did
    before the connection is closed.
    """
    with translate_errors():
        yield chatkeep(make_unpooled_engine(parse_database_url(settings.database_url)), settings)


@asynccontextmanager
async def sweep_on(settings: Settings, policy: Policy) -> AsyncIterator[tuple[Sweep, Cutoffs]]:
    """Yield the sweep, and the times that the policy means now."""
    async with open_pool(settings) as database:
        drafts = chatkeep(database, settings).drafts
        yield Sweep(PiccoloSweeps(database), drafts), policy.cutoffs(SystemClock().now())


@asynccontextmanager
async def indexing_on(settings: Settings) -> AsyncIterator[Indexing]:
    """Yield what brings search indexes up to date."""
    async with open_pool(settings) as database:
        yield Indexing(PiccoloSearchIndexes(database))


@asynccontextmanager
async def transfer_on(settings: Settings, limits: Limits | None = None) -> AsyncIterator[Transfer]:
    """Yield import and export; an import keeps the `limits`, if any are given."""
    async with open_pool(settings, WHOLE_CONVERSATION) as database:
        yield transfer(chatkeep(database, settings), limits)


@asynccontextmanager
async def open_pool(settings: Settings, timing: Timing | None = None) -> AsyncIterator[Engine]:
    with translate_errors():
        async with make_engine(settings, timing).pooled() as database:
            yield database


def _chatkeep(  # noqa: PLR0913 - the settings that use cases have
    stores: Stores,
    clock: Clock,
    limits: Limits,
    *,
    provision_users: bool,
    changes_kept: timedelta,
    drafts_kept: timedelta,
    audit_kept: timedelta,
) -> Chatkeep:
    hub = Hub()
    return Chatkeep(
        users=stores.users,
        conversations=notifying_conversations(stores.conversations, hub),
        log=notifying_log(stores.log, hub),
        search=stores.search,
        events=stores.events,
        audit=AuditUseCases(stores.audit, clock, limits, audit_kept),
        drafts=DraftUseCases(
            notifying_drafts(stores.drafts, hub),
            stores.log,
            stores.conversations,
            clock,
            limits,
            drafts_kept,
        ),
        overviews=stores.overviews,
        hub=hub,
        changes_kept=changes_kept,
        clock=clock,
        limits=limits,
        provision_users=provision_users,
    )
