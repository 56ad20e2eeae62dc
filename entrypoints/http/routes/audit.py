"""GET /v1/audit: what operators asked for, for service keys."""

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import get
from litestar.params import FromQuery, Parameter

from chatkeep.domain.audit import LATEST, AuditPlace
from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.model import MAX_ID_CHARS, UserId, check_user_id
from chatkeep.domain.use_cases import Chatkeep
from chatkeep.entrypoints.http import cursors
from chatkeep.entrypoints.http.audit_schemas import AuditLineOut, AuditPageOut
from chatkeep.entrypoints.http.auth.authentication import FOR_SERVICES, require_service
from chatkeep.entrypoints.http.body import JsonRequest
from chatkeep.entrypoints.http.problems import problems
from chatkeep.entrypoints.http.router import Router
from chatkeep.entrypoints.http.routes.parameters import Cursor, Limit

AboutUser = Annotated[
    str | None,
    Parameter(
        description="only lines about the user with this id",
        schema_extra={"minLength": 1, "maxLength": MAX_ID_CHARS},
    ),
]


class _AuditCursor(msgspec.Struct, array_like=True, frozen=True, tag="audit"):
    """The place before which the next page of the audit starts."""

    user: str | None
    at: datetime
    id: UUID

    @property
    def place(self) -> AuditPlace:
        return AuditPlace(self.at, self.id)


def audit_routes(chatkeep: Chatkeep) -> Router:
    @get(
        "/audit",
        operation_id="listAudit",
        security=FOR_SERVICES,
        summary="List what operators asked for",
        response_description="A page; on the last one `next_cursor` is null.",
        responses=problems(),
    )
    async def list_audit(
        request: JsonRequest,
        *,
        user: FromQuery[AboutUser] = None,
        limit: FromQuery[Limit] = 20,
        cursor: FromQuery[Cursor] = None,
    ) -> AuditPageOut:
        """List the requests of operators, latest first. For service keys only.

        A request counts if it has an operator's key, or a service key and the operator's name in
        `X-Operator`, and is about a user. Lines have no texts.
        """
        require_service(request.user)
        about, place = user, LATEST
        if cursor is not None:
            start = _decode(cursor)
            cursors.check_agrees("user", user, start.user)
            about, place = start.user, start.place
        wanted = None if about is None else _check(about)
        page = await chatkeep.audit.page(user_id=wanted, before=place, limit=limit)
        return AuditPageOut(
            items=[AuditLineOut.from_domain(line) for line in page.items],
            next_cursor=None
            if page.next is None
            else cursors.encode(_AuditCursor(about, page.next.at, page.next.id)),
        )

    return Router("/", tags=["audit"], route_handlers=[list_audit])


def _check(user: str) -> UserId:
    try:
        return check_user_id(user)
    except InvalidValueError as error:
        raise InvalidValueError("user", error.reason) from None


def _decode(text: str) -> _AuditCursor:
    """Return a cursor of the audit. Raises `InvalidValueError`."""
    cursor = cursors.decode(text, _AuditCursor)
    try:
        if cursor.user is not None:
            check_user_id(cursor.user)
    except InvalidValueError:
        raise cursors.unknown_cursor() from None
    if cursor.at.utcoffset() != timedelta(0):
        raise cursors.unknown_cursor()
    return cursor
