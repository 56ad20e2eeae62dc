"""Each adapter keeps the contract of the ports."""

from chatkeep.testing.suite import *  # noqa: F403
