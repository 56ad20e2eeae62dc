"""The contract of `chatkeep.testing.contract.parts`, on both adapters."""

from chatkeep.testing.contract.parts import *  # noqa: F403
