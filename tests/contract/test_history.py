"""The contract of `chatkeep.testing.contract.history`, on both adapters."""

from chatkeep.testing.contract.history import *  # noqa: F403
