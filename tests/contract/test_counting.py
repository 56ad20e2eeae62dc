"""The contract of `chatkeep.testing.contract.counting`, on both adapters."""

from chatkeep.testing.contract.counting import *  # noqa: F403
