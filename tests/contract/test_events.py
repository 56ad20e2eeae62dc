"""The contract of `chatkeep.testing.contract.events`, on both adapters."""

from chatkeep.testing.contract.events import *  # noqa: F403
