"""The contract of `chatkeep.testing.contract.tool_results`, on both adapters."""

from chatkeep.testing.contract.tool_results import *  # noqa: F403
