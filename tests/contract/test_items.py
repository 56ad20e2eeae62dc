"""The contract of `chatkeep.testing.contract.items`, on both adapters."""

from chatkeep.testing.contract.items import *  # noqa: F403
