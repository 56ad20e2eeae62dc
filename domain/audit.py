"""The audit: a line for each request of an operator about a user. It holds nothing that they wrote.

An operator is a person who looks after a service, known by a name. Where the name comes from, and
so what a line proves, is up to the code that identifies callers.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, NewType
from uuid import UUID

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.model import UserId

Operator = NewType("Operator", str)
MAX_OPERATOR_CHARS: Final = 100
AUDIT_KEPT: Final = timedelta(days=365)


@dataclass(frozen=True, slots=True, order=True)
class AuditPlace:
    """A place in the audit: lines are ordered by time, and those of one time by id."""

    at: datetime
    id: UUID


LATEST: Final = AuditPlace(datetime(9999, 1, 1, tzinfo=UTC), UUID(int=2**128 - 1))
"""After all lines."""


@dataclass(frozen=True, slots=True)
class AuditLine:
    """A request of an operator about a user.

    `action` is the name of the operation in the OpenAPI document, or method and path. The ids are
    those that the request named, as it gave them, whether they exist or not.
    """

    id: UUID
    at: datetime
    operator: Operator
    user_id: UserId
    action: str
    conversation_id: str | None = None
    message_id: str | None = None

    @property
    def place(self) -> AuditPlace:
        return AuditPlace(self.at, self.id)


def check_operator(name: str) -> Operator:
    """Return the name if it can be an operator's. Raises `InvalidValueError`."""
    if not name.strip():
        raise InvalidValueError("operator", "is empty")
    if len(name) > MAX_OPERATOR_CHARS:
        raise InvalidValueError(
            "operator", f"has {len(name)} characters; at most {MAX_OPERATOR_CHARS}"
        )
    if not name.isprintable():
        raise InvalidValueError("operator", "contains a character that cannot be printed")
    return Operator(name)
