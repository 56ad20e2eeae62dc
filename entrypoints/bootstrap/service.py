"""The service itself, over HTTP, on Postgres or in memory."""

import asyncio
import gc
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from math import inf
from pathlib import Path
from typing import Final

from litestar import Litestar

from chatkeep.adapters import telemetry
from chatkeep.adapters.clock import SystemClock
from chatkeep.adapters.piccolo.database_metrics import DatabaseMetrics
from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.statement_metrics import own_work
from chatkeep.adapters.piccolo.sweeps import PiccoloSweeps, PiccoloSweepSchedule
from chatkeep.adapters.telemetry import Telemetry, TracesError
from chatkeep.domain.background import background
from chatkeep.domain.operations.sweep import Sweep
from chatkeep.domain.use_cases import Chatkeep
from chatkeep.entrypoints.app import Lifespan, create_app
from chatkeep.entrypoints.bootstrap.database import make_engine
from chatkeep.entrypoints.bootstrap.use_cases import (
    chatkeep,
    memory_chatkeep,
    transfer,
)
from chatkeep.entrypoints.http.auth.identity import Identity
from chatkeep.entrypoints.http.auth.jwks import Jwks
from chatkeep.entrypoints.http.auth.tokens import TokenVerifier
from chatkeep.entrypoints.http.metrics.request_metrics import Metrics
from chatkeep.entrypoints.logs import CURRENT_REQUEST
from chatkeep.entrypoints.scheduled_sweep import DailySweep
from chatkeep.entrypoints.settings import Settings, SettingsError, check_setting, variable

OF_THE_DATABASE: Final = (
    "database_url",
    "database_url_direct",
    "archive_after",
    "delete_after",
    "plan_bytes",
)
"""Settings that `chatkeep serve --memory` refuses."""


def identity(settings: Settings) -> Identity:
    """Return what identifies callers. Raises `SettingsError` if the settings allow no caller."""
    if not settings.allow_callers:
        raise SettingsError(
            "The settings allow no caller: set CHATKEEP_JWT_SECRET, CHATKEEP_JWKS_URL, "
            "CHATKEEP_SERVICE_KEYS or CHATKEEP_OPERATOR_KEYS."
        )
    tokens = None
    if settings.jwt_secret or settings.jwks_url:
        with check_setting("CHATKEEP_JWT_SECRET"):
            tokens = TokenVerifier(
                secret=settings.jwt_secret or None,
                keys=Jwks(settings.jwks_url) if settings.jwks_url else None,
                issuer=settings.jwt_issuer or None,
                audience=settings.jwt_audience or None,
            )
    with check_setting("CHATKEEP_SERVICE_KEYS"):
        return Identity(tokens, settings.service_keys, operator_keys=settings.operator_keys)


def http_app(
    settings: Settings | None = None,
    *,
    database: Engine | None = None,
    workers: Path | None = None,
) -> Litestar:
    """Return the HTTP application on the settings' Postgres: what uvicorn's workers run.

    `database` is used instead of an engine made from the settings. `workers` is a directory shared
    by all processes that serve the same address.
    """
    settings = settings or Settings.from_env()
    database = database or make_engine(settings)
    database.metrics.request = CURRENT_REQUEST
    database.metrics.slow = settings.slow_query_ms / 1000 or inf
    database_metrics = DatabaseMetrics(database, settings.plan_bytes)
    metrics = Metrics([database_metrics], workers)
    tracing = traces(database)
    use_cases = chatkeep(database, settings)
    return create_app(
        use_cases,
        transfer(use_cases),
        identity(settings),
        settings=settings,
        ready=database.is_ready,
        lifespan=[
            _close_at_end(tracing),
            _open_pool(database),
            _sweeping_daily(database, settings, metrics, use_cases),
            database_metrics.storage.updating,
        ],
        metrics=metrics,
        tracing=tracing,
    )


def memory_app(
    settings: Settings, chatkeep: Chatkeep | None = None, tracing: Telemetry | None = None
) -> Litestar:
    """Return the whole HTTP application in memory of this process, for tests of its callers.

    `chatkeep` replaces the use cases.
    """
    chatkeep = chatkeep or memory_chatkeep(
        limits=settings.limits,
        provision_users=settings.provision_users,
        changes_kept=settings.changes_kept,
        drafts_kept=settings.drafts_kept,
        audit_kept=settings.audit_kept,
    )
    return create_app(
        chatkeep,
        transfer(chatkeep),
        identity(settings),
        settings=settings,
        lifespan=[_close_at_end(tracing)],
        tracing=tracing,
    )


def memory_settings(settings: Settings) -> Settings:
    """Return the settings of a service in memory, with a new secret if they allow no caller.

    The secret is put into the environment too, where the application reads its settings. Raises
    `SettingsError` for settings that have no meaning without a database.
    """
    useless = [variable(name) for name in OF_THE_DATABASE if getattr(settings, name)]
    if useless:
        raise SettingsError(
            f"With --memory there is no database, so {', '.join(useless)} would have no effect: "
            "unset it, or leave --memory out."
        )
    if settings.allow_callers:
        return settings
    os.environ["CHATKEEP_JWT_SECRET"] = secrets.token_urlsafe(48)
    return Settings.from_env()


def memory_service() -> Litestar:
    """Return the application of `chatkeep serve --memory`, with the settings of the environment."""
    return memory_app(Settings.from_env(), tracing=traces())


def traces(database: Engine | None = None) -> Telemetry | None:
    """Return what makes spans of requests and of statements, if the environment asks for traces.

    Raises `SettingsError` for an exporter or protocol that is not supported. Without OpenTelemetry
    there are no traces, and `missing_traces` says so.
    """
    if not telemetry.is_requested() or not telemetry.is_installed():
        return None
    try:
        tracing = Telemetry.from_environment(version("chatkeep"))
    except TracesError as error:
        raise SettingsError(str(error)) from error
    if database is not None:
        database.metrics.trace = tracing.statement
    return tracing


def missing_traces() -> str | None:
    """Return why there are no traces although the environment asks for them."""
    if telemetry.is_requested() and not telemetry.is_installed():
        return telemetry.MISSING
    return None


def _close_at_end(tracing: Telemetry | None) -> Lifespan:
    @asynccontextmanager
    async def lifespan(_app: Litestar) -> AsyncIterator[None]:
        try:
            yield
        finally:
            if tracing is not None:
                await asyncio.to_thread(tracing.close)

    return lifespan


def _open_pool(database: Engine) -> Lifespan:
    @asynccontextmanager
    async def lifespan(_app: Litestar) -> AsyncIterator[None]:
        async with database.pooled():
            # What exists by now stays: looking at it in each full collection takes a tenth of the
            # processor's time under load, and halts everything for tens of milliseconds.
            gc.collect()
            gc.freeze()
            try:
                yield
            finally:
                gc.unfreeze()

    return lifespan


def _sweeping_daily(
    database: Engine, settings: Settings, metrics: Metrics, use_cases: Chatkeep
) -> Lifespan:
    daily = DailySweep(
        policy=settings.sweep_policy,
        sweep=Sweep(PiccoloSweeps(database), use_cases.drafts),
        schedule=PiccoloSweepSchedule(database),
        clock=SystemClock(),
        ready=database.is_ready,
        swept=metrics.record_sweep,
    )

    async def run() -> None:
        with own_work("sweep"):
            await daily.run()

    @asynccontextmanager
    async def lifespan(_app: Litestar) -> AsyncIterator[None]:
        if daily.policy.is_empty:
            yield
            return
        async with background(run()):
            yield

    return lifespan
