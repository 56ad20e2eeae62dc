"""The composition root: the only module that chooses adapters."""

import atexit
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from pathlib import Path
from typing import Final

import asyncpg
from litestar import Litestar

from adapters.clock import SystemClock
from adapters.database_url import DatabaseUrl, DatabaseUrlError, parse_database_url
from adapters.embedded_postgres import (
    DurablePostgres,
    EmbeddedPostgresError,
    default_home,
    secret,
)
from adapters.memory import (
    MemoryConversations,
    MemoryItems,
    MemoryMessages,
    MemoryStore,
    MemoryUsers,
)
from adapters.piccolo import migrate as migrations
from adapters.piccolo import statistics
from adapters.piccolo.conversations import PiccoloConversations
from adapters.piccolo.engine import CONNECT_TIMEOUT, Engine
from adapters.piccolo.errors import described, unavailable
from adapters.piccolo.items import PiccoloItems
from adapters.piccolo.messages import PiccoloMessages
from adapters.piccolo.migrate import MigrationError, MigrationStatus
from adapters.piccolo.retries import Timing
from adapters.piccolo.users import PiccoloUsers
from domain.errors import ChatkeepError, StoreUnavailableError
from domain.model import Limits
from domain.ports import Clock
from domain.transfer import Transfer
from domain.use_cases import Chatkeep
from entrypoints.http.app import create_app
from entrypoints.http.identity import Identity
from entrypoints.http.jwks import Jwks
from entrypoints.http.tokens import TokenVerifier, sign
from entrypoints.settings import Settings, SettingsError

WHOLE_CONVERSATION_SECONDS: Final = 300.0
"""To send a conversation of many thousand messages to a database far away takes its time."""


def home(settings: Settings) -> Path:
    """Return where the embedded Postgres and its signing secret live."""
    return Path(settings.home) if settings.home else default_home()


@contextmanager
def database(settings: Settings, *, keep_running: bool = False) -> Iterator[Settings]:
    """Yield the settings with a database in them: the embedded one where none is set.

    The embedded one is put into the environment too, where worker processes and Piccolo's commands
    look for it, and comes with a secret that tokens are signed with. With `keep_running` it is
    started again when it dies.
    """
    if settings.database_url:
        yield settings
        return
    server = DurablePostgres.start(home(settings))
    try:
        os.environ["DATABASE_URL"] = server.url
        os.environ["CHATKEEP_JWT_SECRET"] = signing_secret(settings)
        with server.kept_running() if keep_running else nullcontext():
            yield Settings.from_env()
    finally:
        del os.environ["DATABASE_URL"]
        server.stop()


def signing_secret(settings: Settings) -> str:
    """Return what tokens are signed with; raise `SettingsError` when others sign them."""
    if settings.jwt_secret:
        return settings.jwt_secret
    if not settings.database_url:
        return secret(home(settings))
    issuer = "your identity provider signs them" if settings.jwks_url else "nothing to sign with"
    raise SettingsError(f"No tokens can be made here ({issuer}): set CHATKEEP_JWT_SECRET.")


def token(settings: Settings, user_id: str, *, seconds: float) -> str:
    """Return a token of the user, good for so long. Raises `SettingsError`, `InvalidValueError`."""
    key = signing_secret(settings)
    with _named("CHATKEEP_JWT_SECRET"):
        return sign(
            key,
            user_id,
            expires_in=seconds,
            issuer=settings.jwt_issuer or None,
            audience=settings.jwt_audience or None,
        )


def engine(settings: Settings) -> Engine:
    return Engine(parse_database_url(settings.database_url).connect_args)


def migrations_engine() -> Engine:
    """Return the engine of the settings' database, past the pooler; it connects when used."""
    settings = Settings.from_env()
    if not settings.database_url:
        started = database(settings)
        settings = started.__enter__()
        atexit.register(started.__exit__, None, None, None)
    return Engine(_direct(settings).connect_args | {"timeout": CONNECT_TIMEOUT})


def _direct(settings: Settings) -> DatabaseUrl:
    if settings.database_url_direct:
        return parse_database_url(settings.database_url_direct)
    return parse_database_url(settings.database_url).direct()


async def migrate() -> list[MigrationStatus]:
    """Apply what is pending and return it. Raises `MigrationError`, `StoreUnavailableError`."""
    try:
        return await migrations.migrate()
    except StoreUnavailableError:
        raise
    except Exception as error:
        away = unavailable(error)
        if away is None:
            raise
        raise away from error


async def migration_status() -> list[MigrationStatus]:
    """Return every migration, oldest first. Raises `StoreUnavailableError`."""
    return await migrations.status()


@asynccontextmanager
async def transfer(settings: Settings, limits: Limits) -> AsyncIterator[Transfer]:
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


def explained(error: Exception) -> str | None:
    """Return what to tell an operator who can mend it; None when it is a fault of the program."""
    match error:
        case StoreUnavailableError():
            reason, _, _ = error.reason.partition(". ")  # the rest is for callers over HTTP
            cause = error.__cause__
            return f"{reason} ({described(cause)})" if cause else reason
        case asyncpg.PostgresError():
            return f"The database refused: {error}"
        case (
            ChatkeepError()
            | DatabaseUrlError()
            | EmbeddedPostgresError()
            | MigrationError()
            | SettingsError()
            | OSError()
        ):
            return str(error)
    return None


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


def identity(settings: Settings) -> Identity:
    """Return who lets callers in. Raises `SettingsError` when the settings let in nobody."""
    if not (settings.jwt_secret or settings.jwks_url or settings.service_keys):
        raise SettingsError(
            "Nobody could call this service: set CHATKEEP_JWT_SECRET, CHATKEEP_JWKS_URL or "
            "CHATKEEP_SERVICE_KEYS."
        )
    tokens = None
    if settings.jwt_secret or settings.jwks_url:
        with _named("CHATKEEP_JWT_SECRET"):
            tokens = TokenVerifier(
                secret=settings.jwt_secret or None,
                keys=Jwks(settings.jwks_url) if settings.jwks_url else None,
                issuer=settings.jwt_issuer or None,
                audience=settings.jwt_audience or None,
            )
    with _named("CHATKEEP_SERVICE_KEYS"):
        return Identity(tokens, settings.service_keys)


@contextmanager
def _named(setting: str) -> Iterator[None]:
    """Raise `SettingsError`, with the name of the setting, for a value that does not serve."""
    try:
        yield
    except ValueError as error:
        raise SettingsError(f"{setting}: {error}") from error


def http_app(settings: Settings | None = None, *, database: Engine | None = None) -> Litestar:
    """Return the HTTP application on the settings' Postgres: what uvicorn's workers run.

    `database` is used instead of an engine of the settings' own.
    """
    settings = settings or Settings.from_env()
    database = database or engine(settings)

    @asynccontextmanager
    async def pool(_app: Litestar) -> AsyncIterator[None]:
        await database.start_connection_pool()
        try:
            yield
        finally:
            await database.close_connection_pool()

    return create_app(
        chatkeep(database, settings),
        identity(settings),
        ready=database.is_ready,
        settings=settings,
        lifespan=[pool],
    )


def memory_app(settings: Settings, chatkeep: Chatkeep | None = None) -> Litestar:
    """Return the whole HTTP application on dicts of this process, for tests of its callers."""
    return create_app(
        chatkeep
        or memory_chatkeep(limits=settings.limits, provision_users=settings.provision_users),
        identity(settings),
        settings=settings,
    )
