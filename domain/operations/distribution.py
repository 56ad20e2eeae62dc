"""The plan of `chatkeep distribute`: the place of each table on a cluster of Citus."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from chatkeep.domain.errors import ChatkeepError


class DistributionError(ChatkeepError):
    """The database cannot be distributed as it is; nothing was changed. The message says why."""


class Placement(StrEnum):
    """Where the rows of a table are."""

    BY_USER = "by user"
    """All rows of a user are on one node, with what that user has in other tables."""

    EVERYWHERE = "everywhere"
    """Each node has all rows."""

    COORDINATOR = "coordinator"
    """Only the coordinator has them; any node can reach them."""


@dataclass(frozen=True, slots=True)
class TablePlan:
    """Where a table belongs. `column` is that of the user, for a table that is placed by it.

    `done`: it is there already.
    """

    table: str
    placement: Placement
    column: str | None
    done: bool


@dataclass(frozen=True, slots=True)
class ClusterPlan:
    """The cluster, and where each table belongs, in the order in which they are distributed."""

    citus: str
    nodes: int
    tables: tuple[TablePlan, ...]

    @property
    def to_do(self) -> tuple[TablePlan, ...]:
        return tuple(table for table in self.tables if not table.done)


Report = Callable[[TablePlan, float], object]
"""Called when a table has been distributed, with the seconds that it took."""
