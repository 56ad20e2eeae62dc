"""The contract of `chatkeep.testing.contract.overview`, on both adapters."""

from chatkeep.testing.contract.overview import *  # noqa: F403
