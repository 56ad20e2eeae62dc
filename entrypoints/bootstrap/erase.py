"""The use cases on Postgres, for a command that calls one or two of them."""

from adapters.database_url import parse_database_url
from adapters.piccolo.engine import CONNECT_TIMEOUT, Engine
from domain.use_cases import Chatkeep
from entrypoints.bootstrap.use_cases import chatkeep
from entrypoints.settings import Settings


def chatkeep_on(settings: Settings) -> Chatkeep:
    """Return the service on the settings' Postgres, without a way in.

    Each call has a connection of its own. When it is interrupted, the server has undone what it did
    before the connection is closed.
    """
    connect_args = parse_database_url(settings.database_url).connect_args
    return chatkeep(Engine(connect_args | {"timeout": CONNECT_TIMEOUT}), settings)
