"""The parameters that several routes have."""

from typing import Annotated, Final
from uuid import UUID

from litestar.params import FromPath, Parameter

MAX_INTEGER: Final = 2**31 - 1

ConversationPath = FromPath[Annotated[UUID, Parameter(description="which conversation")]]
Limit = Annotated[int, Parameter(ge=1, le=MAX_INTEGER, description="how many at most")]
Cursor = Annotated[
    str | None,
    Parameter(description="`next_cursor` of the previous page; it contains the other parameters"),
]
