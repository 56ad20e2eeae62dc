"""What every store must keep, for authors of adapters: `suite` has all tests."""

import pytest

# A failed assertion of the suite shows its values, as one in a test file does.
pytest.register_assert_rewrite("chatkeep.testing.contract")

from chatkeep.domain.operations.selftest.store import StoreUnderTest  # noqa: E402
from chatkeep.domain.ports import Stores  # noqa: E402

__all__ = ["StoreUnderTest", "Stores"]
