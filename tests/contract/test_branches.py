"""The contract of `chatkeep.testing.contract.branches`, on both adapters."""

from chatkeep.testing.contract.branches import *  # noqa: F403
