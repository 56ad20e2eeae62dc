"""The contract of `chatkeep.testing.contract.audit`, on both adapters."""

from chatkeep.testing.contract.audit import *  # noqa: F403
