"""The contract of `chatkeep.testing.contract.conversations`, on both adapters."""

from chatkeep.testing.contract.conversations import *  # noqa: F403
