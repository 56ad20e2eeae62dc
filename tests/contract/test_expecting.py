"""The contract of `chatkeep.testing.contract.expecting`, on both adapters."""

from chatkeep.testing.contract.expecting import *  # noqa: F403
