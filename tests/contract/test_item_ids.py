"""The contract of `chatkeep.testing.contract.item_ids`, on both adapters."""

from chatkeep.testing.contract.item_ids import *  # noqa: F403
