"""The errors of the domain.

Each carries its data, and a message that may be shown to a caller.
"""

from collections.abc import Sequence
from typing import Final
from urllib.parse import quote
from uuid import UUID

MAX_NAMED_BRANCHES: Final = 5
"""The most branches that an error names."""


class ChatkeepError(Exception):
    """The base class of all errors here."""


class NotFoundError(ChatkeepError):
    """The object does not exist or belongs to another user: the two look the same."""


class ConversationNotFoundError(NotFoundError):
    def __init__(self, conversation_id: UUID) -> None:
        super().__init__(f"You have no conversation {conversation_id}.")
        self.conversation_id = conversation_id


class MessageNotFoundError(NotFoundError):
    def __init__(self, message_id: UUID) -> None:
        super().__init__(f"The conversation has no message {message_id}.")
        self.message_id = message_id


class ItemNotFoundError(NotFoundError):
    def __init__(self, item_id: str) -> None:
        super().__init__(f"The conversation has no item {item_id!r}.")
        self.item_id = item_id


class BranchNotFoundError(NotFoundError):
    def __init__(self, number: int) -> None:
        super().__init__(f"The conversation has no branch {number}.")
        self.number = number


class UserNotFoundError(NotFoundError):
    def __init__(self, user_id: str) -> None:
        super().__init__(f"There is no user {user_id!r}.")
        self.user_id = user_id


class ChangesForgottenError(ChatkeepError):
    """The reader of events was away for longer than changes are kept."""

    def __init__(self, kept: str) -> None:
        super().__init__(
            f"Changes are kept for {kept}, and this cursor is older. Read the history again, and "
            "follow the conversation from now on."
        )


class UserNotProvisionedError(ChatkeepError):
    """The user is not in `users`, and this service may not or cannot add them."""

    def __init__(self, user_id: str, reason: str) -> None:
        super().__init__(f"User {user_id!r} is unknown here: {reason}")
        self.user_id = user_id


class DatabaseRuleError(ChatkeepError):
    """A rule that the owner of the database added refuses this: a trigger, constraint or policy."""

    def __init__(self, sqlstate: str, table: str | None, constraint: str | None) -> None:
        named = f"the constraint {constraint}" if constraint else "a rule"
        where = f" of its table {table}" if table else ""
        super().__init__(
            f"The database of this service refuses this by {named}{where}. The operator added it, "
            f"and finds the reason in the log (SQLSTATE {sqlstate})."
        )
        self.sqlstate = sqlstate
        self.table = table
        self.constraint = constraint


class ConflictError(ChatkeepError):
    """The request contradicts what is stored."""


class ConversationIdTakenError(ConflictError):
    def __init__(self, conversation_id: UUID) -> None:
        super().__init__(
            f"You already have a conversation {conversation_id} with other content. "
            "Repeat the request as it was, or choose another id."
        )
        self.conversation_id = conversation_id


class MessageIdTakenError(ConflictError):
    def __init__(self, message_id: UUID) -> None:
        super().__init__(
            f"You already have a message {message_id} with other content. "
            "Repeat the request as it was, or choose another id."
        )
        self.message_id = message_id


class ItemIdTakenError(ConflictError):
    def __init__(self, item_id: str) -> None:
        super().__init__(f"The conversation has an item {item_id!r} already. Send each item once.")
        self.item_id = item_id


class KeyTakenError(ConflictError):
    """An `Idempotency-Key` was used before with another request."""

    def __init__(self, key: str) -> None:
        super().__init__(
            f"The idempotency key {key!r} was sent with another request before. "
            "Repeat the request as it was, or choose another key."
        )
        self.key = key


class SuffixDiffersError(ConflictError):
    """The messages to replace are not those that the caller expected.

    `found` are the ids of those that are there, in order; of many, the first.
    """

    def __init__(self, found: Sequence[UUID]) -> None:
        super().__init__(
            "The messages to replace are not those that you expected, so nothing was changed. "
            "`found` are the ids of those that are there."
        )
        self.found = tuple(found)


class RevisionConflictError(ConflictError):
    """The conversation has changed since the revision that the caller expects."""

    def __init__(self, conversation_id: UUID, current: int) -> None:
        super().__init__(
            f"Conversation {conversation_id} is at revision {current} now, so nothing was changed. "
            "Read it again, and decide whether the change is still right."
        )
        self.conversation_id = conversation_id
        self.current = current


class RetainedError(ConflictError):
    """The conversation is on hold, so nothing in it may be deleted or rewritten."""

    def __init__(self, conversation_id: UUID) -> None:
        path = quote(str(conversation_id), safe="")
        super().__init__(
            f"Conversation {conversation_id} is on hold: nothing in it may be deleted or rewritten."
            f" A service key lifts the hold first: PATCH /v1/conversations/{path} "
            '{"retain": false}.'
        )
        self.conversation_id = conversation_id


class BranchIsCurrentError(ConflictError):
    """The branch is the current one, so it cannot be deleted."""

    def __init__(self, number: int) -> None:
        super().__init__(
            f"Branch {number} is the current one, so it cannot be deleted. Make another branch the "
            f'current one first: PATCH .../branches/{number} {{"is_current": true}}.'
        )
        self.number = number


class OtherBranchError(ConflictError):
    """The message is not on the current branch, whose end is to be rewritten."""

    def __init__(self, message_id: UUID, current: int) -> None:
        super().__init__(
            f"Message {message_id} is not on branch {current}, the current one. "
            "Make its branch the current one first."
        )
        self.message_id = message_id
        self.current = current


class SharedByBranchesError(ConflictError):
    """Other branches share messages that are to be deleted."""

    def __init__(self, numbers: Sequence[int]) -> None:
        named = ", ".join(map(str, numbers[:MAX_NAMED_BRANCHES]))
        more = ", ..." if len(numbers) > MAX_NAMED_BRANCHES else ""
        super().__init__(
            f"Other branches share these messages, so nothing was deleted: {named}{more}. Delete "
            "those branches first, or append after an earlier message to start another branch."
        )
        self.numbers = tuple(numbers)


class UserRetainedError(ConflictError):
    """Conversations of the user are on hold, so nothing of the user may be deleted.

    `retained` is their number; `conversation_ids` are the first few of them.
    """

    def __init__(self, user_id: str, retained: int, conversation_ids: Sequence[UUID]) -> None:
        named = ", ".join(map(str, conversation_ids))
        more = ", ..." if retained > len(conversation_ids) else ""
        are = "conversation is" if retained == 1 else "conversations are"
        super().__init__(
            f"{retained} {are} on hold, so nothing was deleted: {named}{more}. A service key lifts "
            'each hold first: PATCH /v1/conversations/{id} {"retain": false}.'
        )
        self.user_id = user_id
        self.retained = retained
        self.conversation_ids = tuple(conversation_ids)


class InvalidValueError(ChatkeepError):
    """A value breaks a rule of the model that no setting changes.

    `field` is a path in the caller's data, such as `messages[3].tool_calls`.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class LimitExceededError(ChatkeepError):
    """A value exceeds the limit in the field `limit_name` of `Limits`.

    `actual` is None if the exact size was not counted.
    """

    def __init__(
        self, field: str, *, limit_name: str, limit: int, actual: int | None, unit: str
    ) -> None:
        size = f"more than {limit}" if actual is None else actual
        super().__init__(f"{field} has {size} {unit}; the limit is {limit}.")
        self.field = field
        self.limit_name = limit_name
        self.limit = limit
        self.actual = actual
        self.unit = unit


class StoreUnavailableError(ChatkeepError):
    """The database cannot answer now. It is safe to try again after `retry_after` seconds."""

    def __init__(self, reason: str, *, retry_after: int = 1) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after


class DatabaseError(ChatkeepError):
    """The database refused a statement for a reason that no other error covers.

    `reason` is the first line of the server's message; the rest may quote rows. `sqlstate` is
    Postgres' code for the error.
    """

    def __init__(self, reason: str, *, sqlstate: str) -> None:
        super().__init__(f"The database refused: {reason}")
        self.reason = reason
        self.sqlstate = sqlstate
