"""The contract of `chatkeep.testing.contract.appending`, on both adapters."""

from chatkeep.testing.contract.appending import *  # noqa: F403
