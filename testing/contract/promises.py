"""The promises that `chatkeep doctor` tests on a live database, by the same scenarios."""

import pytest

from chatkeep.domain.operations.selftest.promises import PROMISES
from chatkeep.domain.operations.selftest.store import StoreUnderTest


@pytest.mark.parametrize("promise", PROMISES)
async def test_the_store_keeps_the_promise(store: StoreUnderTest, promise: str) -> None:
    await store.users.add(store.user)
    await store.users.add(store.stranger)

    assert await PROMISES[promise](store)
