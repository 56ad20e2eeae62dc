"""The contract of `chatkeep.testing.contract.text_ids`, on both adapters."""

from chatkeep.testing.contract.text_ids import *  # noqa: F403
