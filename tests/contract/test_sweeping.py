"""The contract of `chatkeep.testing.contract.sweeping`, on both adapters."""

from chatkeep.testing.contract.sweeping import *  # noqa: F403
