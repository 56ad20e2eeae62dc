"""The contract of `chatkeep.testing.contract.aliasing`, on both adapters."""

from chatkeep.testing.contract.aliasing import *  # noqa: F403
