"""The contract of `chatkeep.testing.contract.entries`, on both adapters."""

from chatkeep.testing.contract.entries import *  # noqa: F403
