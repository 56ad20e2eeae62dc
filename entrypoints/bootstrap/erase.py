"""The use cases on Postgres, for a command that calls one or two of them."""

from chatkeep.adapters.database_url import parse_database_url
from chatkeep.domain.use_cases import Chatkeep
from chatkeep.entrypoints.bootstrap.database import unpooled
from chatkeep.entrypoints.bootstrap.use_cases import chatkeep
from chatkeep.entrypoints.settings import Settings


def chatkeep_on(settings: Settings) -> Chatkeep:
    """Return the service on the settings' Postgres, without a way in.

    Each call has a connection of its own. When it is interrupted, the server has undone what it did
    before the connection is closed.
    """
    return chatkeep(unpooled(parse_database_url(settings.database_url)), settings)
