"""Errors from every layer, as an operator is told of them."""

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from chatkeep.adapters.database_url import DatabaseUrlError
from chatkeep.adapters.embedded.postgres import EmbeddedPostgresError
from chatkeep.adapters.piccolo.errors import describe, first_line, unavailable
from chatkeep.adapters.piccolo.migrate import MigrationError
from chatkeep.domain.errors import ChatkeepError, StoreUnavailableError
from chatkeep.entrypoints.settings import SettingsError


def explained(error: Exception) -> str | None:
    """Return what to tell an operator who can mend it; None when it is a fault of the program."""
    match error:
        case StoreUnavailableError():
            reason, _, _ = error.reason.partition(". ")  # the rest is for callers over HTTP
            cause = error.__cause__
            return f"{reason} ({describe(cause)})" if cause else reason
        case asyncpg.PostgresError():
            return f"The database refused: {first_line(error)}"
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


@contextmanager
def named(setting: str) -> Iterator[None]:
    """Raise `SettingsError`, with the name of the setting, for a value that does not serve."""
    try:
        yield
    except ValueError as error:
        raise SettingsError(f"{setting}: {error}") from error


@contextmanager
def unavailability() -> Iterator[None]:
    """Raise `StoreUnavailableError` for whatever the driver says of a database that went away."""
    try:
        yield
    except StoreUnavailableError:
        raise
    except Exception as error:
        away = unavailable(error)
        if away is None:
            raise
        raise away from error
