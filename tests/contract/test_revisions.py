"""The contract of `chatkeep.testing.contract.revisions`, on both adapters."""

from chatkeep.testing.contract.revisions import *  # noqa: F403
