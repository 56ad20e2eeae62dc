"""The service itself, over HTTP, on Postgres or in memory."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from litestar import Litestar

from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.domain.operations.sweep import Swept
from chatkeep.domain.use_cases import Chatkeep
from chatkeep.entrypoints.app import create_app
from chatkeep.entrypoints.bootstrap import monitoring
from chatkeep.entrypoints.bootstrap.database import engine
from chatkeep.entrypoints.bootstrap.errors import named
from chatkeep.entrypoints.bootstrap.sweep import swept_daily
from chatkeep.entrypoints.bootstrap.transfer import memory_transfer, transfer
from chatkeep.entrypoints.bootstrap.use_cases import chatkeep, memory_chatkeep
from chatkeep.entrypoints.http.auth.identity import Identity
from chatkeep.entrypoints.http.auth.jwks import Jwks
from chatkeep.entrypoints.http.auth.tokens import TokenVerifier
from chatkeep.entrypoints.settings import Settings, SettingsError


def identity(settings: Settings) -> Identity:
    """Return who lets callers in. Raises `SettingsError` when the settings let in nobody."""
    if not (settings.jwt_secret or settings.jwks_url or settings.service_keys):
        raise SettingsError(
            "Nobody could call this service: set CHATKEEP_JWT_SECRET, CHATKEEP_JWKS_URL or "
            "CHATKEEP_SERVICE_KEYS."
        )
    tokens = None
    if settings.jwt_secret or settings.jwks_url:
        with named("CHATKEEP_JWT_SECRET"):
            tokens = TokenVerifier(
                secret=settings.jwt_secret or None,
                keys=Jwks(settings.jwks_url) if settings.jwks_url else None,
                issuer=settings.jwt_issuer or None,
                audience=settings.jwt_audience or None,
            )
    with named("CHATKEEP_SERVICE_KEYS"):
        return Identity(tokens, settings.service_keys)


def http_app(
    settings: Settings | None = None,
    *,
    database: Engine | None = None,
    workers: Path | None = None,
) -> Litestar:
    """Return the HTTP application on the settings' Postgres: what uvicorn's workers run.

    `database` is used instead of an engine of the settings' own. `workers` is a directory that all
    processes share which serve the same address.
    """
    settings = settings or Settings.from_env()
    database = database or engine(settings)
    figures = monitoring.observe(database, settings)
    tracing = monitoring.traces(database)

    @asynccontextmanager
    async def pool(_app: Litestar) -> AsyncIterator[None]:
        try:
            async with database.pooled():
                # What is there by now stays: looking at it in each full collection takes a tenth of
                # the processor's time under load, and halts everything for tens of milliseconds.
                gc.collect()
                gc.freeze()
                try:
                    yield
                finally:
                    gc.unfreeze()
        finally:
            if tracing is not None:
                await asyncio.to_thread(tracing.close)

    @asynccontextmanager
    async def sweeping(app: Litestar) -> AsyncIterator[None]:
        def count(swept: Swept) -> None:
            app.state.metrics.swept(archived=swept.archived, deleted=swept.deleted)

        async with swept_daily(database, settings.sweep_policy, count):
            yield

    return create_app(
        chatkeep(database, settings),
        identity(settings),
        transfer=transfer(database),
        ready=database.is_ready,
        settings=settings,
        lifespan=[pool, sweeping, figures.storage.watched],
        sources=[figures],
        workers=workers,
        tracing=tracing,
    )


def memory_app(settings: Settings, chatkeep: Chatkeep | None = None) -> Litestar:
    """Return the whole HTTP application on dicts of this process, for tests of its callers."""
    chatkeep = chatkeep or memory_chatkeep(
        limits=settings.limits, provision_users=settings.provision_users
    )
    return create_app(
        chatkeep, identity(settings), transfer=memory_transfer(chatkeep), settings=settings
    )
