"""The contract of `chatkeep.testing.contract.page_bytes`, on both adapters."""

from chatkeep.testing.contract.page_bytes import *  # noqa: F403
