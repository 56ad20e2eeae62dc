"""The contract of `chatkeep.testing.contract.isolation`, on both adapters."""

from chatkeep.testing.contract.isolation import *  # noqa: F403
