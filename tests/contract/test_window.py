"""The contract of `chatkeep.testing.contract.window`, on both adapters."""

from chatkeep.testing.contract.window import *  # noqa: F403
