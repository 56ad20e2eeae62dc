"""The contract of `chatkeep.testing.contract.retrying`, on both adapters."""

from chatkeep.testing.contract.retrying import *  # noqa: F403
