"""The contract of `chatkeep.testing.contract.recreating`, on both adapters."""

from chatkeep.testing.contract.recreating import *  # noqa: F403
