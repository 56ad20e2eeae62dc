"""The contract of `chatkeep.testing.contract.originals`, on both adapters."""

from chatkeep.testing.contract.originals import *  # noqa: F403
