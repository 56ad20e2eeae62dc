"""Pages of branches, as the log returns them."""

from dataclasses import dataclass
from typing import NamedTuple

from chatkeep.domain.model import BranchNumber, Message, MessageId
from chatkeep.domain.pages import Page


class BranchMessage(NamedTuple):
    """A message with the one before it on its branch, and the branch that wrote it."""

    message: Message
    parent_id: MessageId | None
    branch: BranchNumber


@dataclass(frozen=True, slots=True)
class BranchLogPage(Page[BranchMessage]):
    """A page of a branch, and the revision of its conversation."""

    revision: int
