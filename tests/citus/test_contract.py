"""The contract of the stores, on a database that is distributed over a cluster."""

from chatkeep.testing.suite import *  # noqa: F403
