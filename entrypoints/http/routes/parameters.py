"""The parameters that several routes have."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from litestar.params import FromPath, Parameter
from msgspec import Meta

from chatkeep.domain.branches import EVERY
from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.model import BranchNumber

MAX_INTEGER: Final = 2**31 - 1
TIME: Final[dict[str, Any]] = {"format": "date-time"}
"""The schema of a parameter that `parse_time` reads."""

_Time: Final = Annotated[datetime, Meta(tz=True)]

ConversationPath = FromPath[Annotated[UUID, Parameter(description="which conversation")]]
Limit = Annotated[int, Parameter(ge=1, le=MAX_INTEGER, description="how many at most")]
Cursor = Annotated[
    str | None,
    Parameter(description="`next_cursor` of the previous page; it contains the other parameters"),
]
HistoryBranch = Annotated[
    str | None,
    Parameter(
        description="the number of a branch (default: the current one), or `all`; then each "
        "message has its `parent_id` and `branch`",
    ),
]
BranchOf = Annotated[
    int | None,
    Parameter(ge=0, le=MAX_INTEGER, description="which branch (default: the current one)"),
]
BranchPath = FromPath[
    Annotated[int, Parameter(ge=0, le=MAX_INTEGER, description="the number of the branch")]
]


_NUMBER: Final = re.compile("[0-9]{1,9}")


def read_branch(given: str | None) -> BranchNumber | None:
    """Return the branch of a history; `EVERY` for `all`. Raises `InvalidValueError`."""
    if given is None:
        return None
    if given != "all" and not _NUMBER.fullmatch(given):
        raise InvalidValueError("branch", "must be the number of a branch, or all")
    return EVERY if given == "all" else BranchNumber(int(given))


def parse_time(name: str, text: str | None) -> datetime | None:
    """Return a time of RFC 3339 in UTC. Raises `InvalidValueError` naming the parameter."""
    if text is None:
        return None
    try:
        at: datetime = msgspec.convert(text, _Time)
        return at.astimezone(UTC)
    except (msgspec.ValidationError, OverflowError):
        raise InvalidValueError(
            name, "is not a time like 2026-11-27T09:30:00Z; in a URL, write + as %2B"
        ) from None
