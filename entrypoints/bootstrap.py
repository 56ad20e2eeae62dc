"""The composition root: the only module that chooses adapters."""

import atexit
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from adapters.embedded_postgres import DurablePostgres, default_home, secret
from litestar import Litestar

from adapters.clock import SystemClock
from adapters.database_url import DatabaseUrl, parse_database_url
from adapters.memory import MemoryConversations, MemoryMessages, MemoryStore, MemoryUsers
from adapters.piccolo.conversations import PiccoloConversations
from adapters.piccolo.engine import Engine
from adapters.piccolo.messages import PiccoloMessages
from adapters.piccolo.users import PiccoloUsers
from domain.model import Limits
from domain.ports import Clock
from domain.use_cases import Chatkeep
from entrypoints.http.app import create_app
from entrypoints.http.identity import Identity
from entrypoints.http.jwks import Jwks
from entrypoints.http.tokens import TokenVerifier
from entrypoints.settings import Settings, SettingsError


def home(settings: Settings) -> Path:
    """Return where the embedded Postgres and its signing secret live."""
    return Path(settings.home) if settings.home else default_home()


@contextmanager
def database(settings: Settings) -> Iterator[Settings]:
    """Yield the settings with a database in them: the embedded one where none is set.

    The embedded one is put into the environment too, where worker processes and Piccolo's commands
    look for it, and comes with a secret that tokens are signed with.
    """
    if settings.database_url:
        yield settings
        return
    server = DurablePostgres.start(home(settings))
    try:
        os.environ["DATABASE_URL"] = server.url
        os.environ.setdefault("CHATKEEP_JWT_SECRET", secret(home(settings)))
        yield Settings.from_env()
    finally:
        del os.environ["DATABASE_URL"]
        server.stop()


def engine(settings: Settings) -> Engine:
    return Engine(parse_database_url(settings.database_url).connect_args)


def migrations_engine() -> Engine:
    """Return the engine of the settings' database, past the pooler; it connects when used."""
    settings = Settings.from_env()
    if not settings.database_url:
        started = database(settings)
        settings = started.__enter__()
        atexit.register(started.__exit__, None, None, None)
    return Engine(_direct(settings).connect_args)


def _direct(settings: Settings) -> DatabaseUrl:
    if settings.database_url_direct:
        return parse_database_url(settings.database_url_direct)
    return parse_database_url(settings.database_url).direct()


def chatkeep(engine: Engine, settings: Settings) -> Chatkeep:
    """Return the service on Postgres."""
    return Chatkeep(
        users=PiccoloUsers(engine),
        conversations=PiccoloConversations(engine),
        messages=PiccoloMessages(engine),
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
        tokens = TokenVerifier(
            secret=settings.jwt_secret or None,
            keys=Jwks(settings.jwks_url) if settings.jwks_url else None,
            issuer=settings.jwt_issuer or None,
            audience=settings.jwt_audience or None,
        )
    return Identity(tokens, settings.service_keys)


def http_app(settings: Settings | None = None) -> Litestar:
    """Return the HTTP application on the settings' Postgres: what uvicorn's workers run."""
    settings = settings or Settings.from_env()
    database = engine(settings)

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
