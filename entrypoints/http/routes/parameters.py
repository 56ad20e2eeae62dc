"""The parameters that several routes have."""

import re
from typing import Annotated, Final
from uuid import UUID

from litestar.params import FromPath, Parameter

from chatkeep.domain.branches import EVERY
from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.model import BranchNumber

MAX_INTEGER: Final = 2**31 - 1

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
