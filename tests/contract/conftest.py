"""Every adapter is held to the same suite; no test here knows which one it got."""

import pytest

from chatkeep.adapters.memory import (
    MemoryConversations,
    MemoryItems,
    MemoryMessages,
    MemoryStore,
    MemoryUsers,
)
from tests.contract.store import Store


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest) -> Store:
    if request.param == "memory":
        kept = MemoryStore()
        return Store(
            MemoryUsers(kept),
            MemoryConversations(kept),
            MemoryMessages(kept),
            MemoryItems(kept),
        )
    # Asked for here and not as a parameter, so that no server is started for the other adapter.
    postgres: Store = request.getfixturevalue("postgres_store")
    return postgres
