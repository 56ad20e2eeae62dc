"""The contract of `chatkeep.testing.contract.any_tree`, on both adapters."""

from chatkeep.testing.contract.any_tree import *  # noqa: F403
