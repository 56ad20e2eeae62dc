"""The contract of `chatkeep.testing.contract.forking`, on both adapters."""

from chatkeep.testing.contract.forking import *  # noqa: F403
