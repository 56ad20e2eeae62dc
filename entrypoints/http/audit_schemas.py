"""The answers about the audit."""

from datetime import datetime
from typing import Annotated, Self

from msgspec import Meta, Struct

from chatkeep.domain.audit import AuditLine


class AuditLineOut(Struct, kw_only=True):
    """A request of an operator about a user."""

    id: str
    at: datetime
    operator: Annotated[str, Meta(description="the name of the operator")]
    user_id: Annotated[str, Meta(description="the user whom the request was about")]
    action: Annotated[
        str, Meta(description="the `operationId` of the request, or its method and path")
    ]
    conversation_id: Annotated[
        str | None, Meta(description="the conversation that the request named")
    ]
    message_id: Annotated[str | None, Meta(description="the message that the request named")]

    @classmethod
    def from_domain(cls, line: AuditLine) -> Self:
        return cls(
            id=str(line.id),
            at=line.at,
            operator=line.operator,
            user_id=line.user_id,
            action=line.action,
            conversation_id=line.conversation_id,
            message_id=line.message_id,
        )


class AuditPageOut(Struct, kw_only=True):
    """Some lines of the audit, latest first."""

    items: list[AuditLineOut]
    next_cursor: str | None
