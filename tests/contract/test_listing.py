"""The contract of `chatkeep.testing.contract.listing`, on both adapters."""

from chatkeep.testing.contract.listing import *  # noqa: F403
