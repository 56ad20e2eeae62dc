"""The place of an append in a conversation with branches."""

from typing import NamedTuple

from chatkeep.domain.model import BranchNumber, MessageId


class After(NamedTuple):
    """The place of an append: after this message, or before the first one if it is None.

    After the last message of a branch, that branch goes on. After any other message, a new branch
    starts, unless the conversation would then have more than `max_branches`; 0 is any number.
    """

    message_id: MessageId | None
    max_branches: int = 0


class AtTip(NamedTuple):
    """The place of an append: at the end of this branch."""

    branch: BranchNumber


Place = After | AtTip
