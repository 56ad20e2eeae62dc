"""The contract of `chatkeep.testing.contract.user_list`, on both adapters."""

from chatkeep.testing.contract.user_list import *  # noqa: F403
