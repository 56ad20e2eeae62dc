"""The contract of `chatkeep.testing.contract.finding`, on both adapters."""

from chatkeep.testing.contract.finding import *  # noqa: F403
