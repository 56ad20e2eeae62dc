"""The contract of `chatkeep.testing.contract.holds`, on both adapters."""

from chatkeep.testing.contract.holds import *  # noqa: F403
