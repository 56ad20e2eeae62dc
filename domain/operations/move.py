"""The preview and the result of `chatkeep move`, from one database to another."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from chatkeep.domain.errors import ChatkeepError

Advance = Callable[[int], object]
"""Called with the number of rows that were added to the target."""


class MoveError(ChatkeepError):
    """The move cannot be made, or was not finished; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class MovePreview:
    """The number of `rows` to move, by table.

    `sessions` counts the other sessions on the source, such as a service's. `begun` means that an
    earlier run began, `done` that the target has everything already.
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
