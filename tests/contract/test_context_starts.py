"""The contract of `chatkeep.testing.contract.context_starts`, on both adapters."""

from chatkeep.testing.contract.context_starts import *  # noqa: F403
