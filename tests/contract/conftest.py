"""The two adapters that the contract is tested on. No test of it knows which one it got."""

import pytest

from chatkeep.adapters.memory.stores import memory_stores
from chatkeep.domain.operations.selftest.store import StoreUnderTest


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest) -> StoreUnderTest:
    if request.param == "memory":
        return StoreUnderTest.of(memory_stores())
    # Asked for here and not as a parameter, so that no server is started for the other adapter.
    postgres: StoreUnderTest = request.getfixturevalue("postgres_store")
    return postgres
