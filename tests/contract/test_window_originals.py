"""The contract of `chatkeep.testing.contract.window_originals`, on both adapters."""

from chatkeep.testing.contract.window_originals import *  # noqa: F403
