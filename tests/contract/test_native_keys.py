"""The contract of `chatkeep.testing.contract.native_keys`, on both adapters."""

from chatkeep.testing.contract.native_keys import *  # noqa: F403
