"""What `chatkeep move` finds, does and compares: from one database to another."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from chatkeep.domain.errors import ChatkeepError

Advance = Callable[[int], object]
"""Called with how many more rows are in the target now."""


class MoveError(ChatkeepError):
    """The move cannot be made, or was not finished; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class MovePreview:
    """What there is to move: `rows` by table.

    `sessions`: other sessions on the source, a service perhaps. `begun`: an earlier run began;
    `done`: the target holds everything already.
    """

    rows: Mapping[str, int]
    sessions: int
    begun: bool
    done: bool


@dataclass(frozen=True, slots=True)
class TableComparison:
    """A table's rows in source and target. `equal`: the numbers and the checksums agree.

    `checksum` is the target's; None where the table also holds rows of another application.
    """

    table: str
    source_rows: int
    target_rows: int
    equal: bool
    checksum: str | None


@dataclass(frozen=True, slots=True)
class MoveResult:
    """How source and target compare after the move, and other `sessions` on the source then."""

    tables: Sequence[TableComparison]
    sessions: int

    @property
    def equal(self) -> bool:
        return all(table.equal for table in self.tables)
