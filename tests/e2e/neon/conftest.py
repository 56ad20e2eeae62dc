"""Databases behind a relay, and a server that may be stopped."""

import os
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.e2e.neon.servers import Suspendable
from tests.support import postgres
from tests.support.relay import Relay


@pytest.fixture(scope="session")
def full() -> bool:
    """Whether to run the full counts; else tests do as little as shows that something is wrong."""
    return os.environ.get("CHATKEEP_TEST_FULL") == "1"


@pytest.fixture
async def relay(database_url: str) -> AsyncIterator[Relay]:
    """Yield a relay in front of a migrated, empty database."""
    async with Relay(database_url) as relay:
        yield relay


@pytest.fixture(scope="session")
def durable_server() -> Iterator[postgres.Server]:
    with postgres.server(durable=True) as server:
        yield server


@pytest.fixture
async def suspendable(durable_server: postgres.Server) -> Suspendable:
    return await Suspendable.of(durable_server)


@pytest.fixture
async def suspendable_url(durable_server: postgres.Server) -> AsyncIterator[str]:
    """Yield the URL of a migrated, empty database on the server that may be stopped."""
    async with durable_server.database() as url:
        yield url
