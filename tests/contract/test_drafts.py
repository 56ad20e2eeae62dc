"""The contract of `chatkeep.testing.contract.drafts`, on both adapters."""

from chatkeep.testing.contract.drafts import *  # noqa: F403
