"""The contract of `chatkeep.testing.contract.by_creation`, on both adapters."""

from chatkeep.testing.contract.by_creation import *  # noqa: F403
