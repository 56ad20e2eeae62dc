"""The contract of `chatkeep.testing.contract.truncating`, on both adapters."""

from chatkeep.testing.contract.truncating import *  # noqa: F403
