"""Fixtures for the tests on a Citus cluster. `make test-citus` runs them."""

from collections.abc import AsyncIterator, Iterator

import pytest

from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.retries import Timing
from chatkeep.adapters.piccolo.stores import piccolo_stores
from chatkeep.domain.operations.selftest.store import StoreUnderTest
from tests.support import postgres
from tests.support.citus_cluster import MISSING, CitusCluster, citus_cluster, find_citus
from tests.support.processes import chatkeep


@pytest.fixture(scope="session")
def cluster() -> Iterator[CitusCluster]:
    folder = find_citus()
    if folder is None:
        pytest.skip(MISSING)
    with citus_cluster(folder) as cluster:
        yield cluster


@pytest.fixture(scope="session")
async def distributed(cluster: CitusCluster) -> AsyncIterator[str]:
    """Yield the URL of a migrated, distributed database, which tests share."""
    async with cluster.database() as url:
        postgres.migrate(url)
        done = chatkeep("distribute", DATABASE_URL=url)
        assert done.returncode == 0, done.stderr
        yield url


@pytest.fixture(scope="session")
async def pool(distributed: str) -> AsyncIterator[Engine]:
    # Three servers share a machine: those who wait for a lock wait for longer than on one.
    async with postgres.pool(distributed, Timing(command=120)) as engine:
        yield engine


@pytest.fixture
def store(engine: Engine) -> StoreUnderTest:
    return StoreUnderTest.of(piccolo_stores(engine))
