"""What tests of every kind ask for: a database of their own."""

from collections.abc import AsyncIterator, Iterator

import pytest

from adapters.piccolo.conversations import PiccoloConversations
from adapters.piccolo.engine import Engine
from adapters.piccolo.items import PiccoloItems
from adapters.piccolo.messages import PiccoloMessages
from adapters.piccolo.users import PiccoloUsers
from tests import postgres
from tests.contract.store import Store


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.Server]:
    with postgres.server() as server:
        yield server


@pytest.fixture
async def database_url(postgres_server: postgres.Server) -> AsyncIterator[str]:
    """Yield the URL of a migrated, empty database."""
    async with postgres_server.database() as url:
        yield url


@pytest.fixture(scope="session")
async def pool(postgres_server: postgres.Server) -> AsyncIterator[Engine]:
    async with postgres_server.database() as url, postgres.pool(url) as engine:
        yield engine


@pytest.fixture
async def engine(pool: Engine) -> Engine:
    """Return an engine on an empty database: a shared one, which is quicker than making one."""
    await pool.fetch("DELETE FROM users")
    return pool


@pytest.fixture
def postgres_store(engine: Engine) -> Store:
    return Store(
        PiccoloUsers(engine),
        PiccoloConversations(engine),
        PiccoloMessages(engine),
        PiccoloItems(engine),
    )
