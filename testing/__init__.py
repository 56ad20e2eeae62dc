"""The tests that every store must pass, for authors of adapters: see `suite`."""

import pytest

# Failed assertions of the suite then show their values, as those of test files do.
pytest.register_assert_rewrite("chatkeep.testing.builders", "chatkeep.testing.contract")

from chatkeep.domain.operations.selftest.store import StoreUnderTest  # noqa: E402
from chatkeep.domain.ports import Stores  # noqa: E402

__all__ = ["StoreUnderTest", "Stores"]
