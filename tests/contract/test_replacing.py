"""The contract of `chatkeep.testing.contract.replacing`, on both adapters."""

from chatkeep.testing.contract.replacing import *  # noqa: F403
