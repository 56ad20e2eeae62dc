"""The database of the settings: find or start it, connect to it, migrate it."""

import atexit
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from chatkeep.adapters.database_url import DatabaseUrl, parse_database_url
from chatkeep.adapters.embedded.postgres import DurablePostgres, default_home, secret
from chatkeep.adapters.piccolo import analyze
from chatkeep.adapters.piccolo import migrate as migrations
from chatkeep.adapters.piccolo.connector import CONNECT_TIMEOUT
from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.retries import Timing
from chatkeep.domain.operations.migrations import MigrationStatus
from chatkeep.entrypoints.settings import Settings, SettingsError, check_setting


def home(settings: Settings) -> Path:
    """Return where the embedded Postgres and its signing secret live."""
    return Path(settings.home) if settings.home else default_home()


@contextmanager
def provide(settings: Settings, *, keep_running: bool = False) -> Iterator[Settings]:
    """Yield the settings with a database in them: the embedded one where none is set.

    The embedded one is put into the environment too, where worker processes and Piccolo's commands
    look for it, and comes with a secret to sign tokens with. With `keep_running` it is started
    again when it dies.

    Raises `DatabaseUrlError` for an invalid URL, and `EmbeddedPostgresError`.
    """
    if settings.database_url:
        parse_database_url(settings.database_url)  # before anything else is done or started
        yield settings
        return
    server = DurablePostgres.start(home(settings))
    try:
        os.environ["DATABASE_URL"] = server.url
        os.environ["CHATKEEP_JWT_SECRET"] = signing_secret(settings)
        with server.supervise() if keep_running else nullcontext():
            yield Settings.from_env()
    finally:
        del os.environ["DATABASE_URL"]
        server.stop()


def signing_secret(settings: Settings) -> str:
    """Return the secret that tokens are signed with.

    Raises `SettingsError` when an identity provider signs them, or there is nothing to sign with.
    """
    if settings.jwt_secret:
        return settings.jwt_secret
    if not settings.database_url:
        return secret(home(settings))
    issuer = "your identity provider signs them" if settings.jwks_url else "nothing to sign with"
    raise SettingsError(f"No tokens can be made here ({issuer}): set CHATKEEP_JWT_SECRET.")


def make_engine(settings: Settings, timing: Timing | None = None) -> Engine:
    return Engine(parse_database_url(settings.database_url).connect_args, timing)


def make_unpooled_engine(url: DatabaseUrl) -> Engine:
    """Return an engine without a pool: each statement or transaction has its own connection."""
    return Engine(url.connect_args | {"timeout": CONNECT_TIMEOUT})


def direct_url(settings: Settings) -> DatabaseUrl:
    """Return the database past its pooler, for migrations: the URL set for that, else derived."""
    if settings.database_url_direct:
        with check_setting("DATABASE_URL_DIRECT"):
            return parse_database_url(settings.database_url_direct)
    return parse_database_url(settings.database_url).direct()


def migrations_engine() -> Engine:
    """Return the engine that Piccolo's own commands migrate; it connects when used."""
    settings = Settings.from_env()
    if not settings.database_url:
        started = provide(settings)
        settings = started.__enter__()
        atexit.register(started.__exit__, None, None, None)
    return make_unpooled_engine(direct_url(settings))


async def migrate(settings: Settings) -> list[MigrationStatus]:
    """Apply what is pending and return it.

    Raises `MigrationError`, `StoreUnavailableError` and `DatabaseError`.
    """
    return await migrations.migrate(make_unpooled_engine(direct_url(settings)))


async def migration_warnings(settings: Settings) -> list[str]:
    """Return what the newest schema cannot fix. Raises `StoreUnavailableError`."""
    return await migrations.warnings(make_unpooled_engine(direct_url(settings)))


async def migration_status(settings: Settings) -> list[MigrationStatus]:
    """Return every migration, oldest first. Raises `StoreUnavailableError`."""
    return await migrations.status(make_unpooled_engine(direct_url(settings)))


async def refresh_statistics(settings: Settings) -> None:
    """Have the database count its rows anew. Raises `StoreUnavailableError`."""
    await analyze.refresh(make_engine(settings))
