"""The contract of `chatkeep.testing.contract.text`, on both adapters."""

from chatkeep.testing.contract.text import *  # noqa: F403
