"""The contract of `chatkeep.testing.contract.times`, on both adapters."""

from chatkeep.testing.contract.times import *  # noqa: F403
