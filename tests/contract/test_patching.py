"""The contract of `chatkeep.testing.contract.patching`, on both adapters."""

from chatkeep.testing.contract.patching import *  # noqa: F403
