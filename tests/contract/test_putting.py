"""The contract of `chatkeep.testing.contract.putting`, on both adapters."""

from chatkeep.testing.contract.putting import *  # noqa: F403
