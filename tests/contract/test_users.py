"""The contract of `chatkeep.testing.contract.users`, on both adapters."""

from chatkeep.testing.contract.users import *  # noqa: F403
