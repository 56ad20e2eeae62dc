"""The contract of `chatkeep.testing.contract.search`, on both adapters."""

from chatkeep.testing.contract.search import *  # noqa: F403
