"""The contract of `chatkeep.testing.contract.item_pages`, on both adapters."""

from chatkeep.testing.contract.item_pages import *  # noqa: F403
