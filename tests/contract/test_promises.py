"""The contract of `chatkeep.testing.contract.promises`, on both adapters."""

from chatkeep.testing.contract.promises import *  # noqa: F403
