"""GET /v1/users: the list of users, for service keys."""

from typing import Annotated, Final

import msgspec
from litestar import get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromQuery, Parameter

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.model import MAX_ID_CHARS, check_user_id
from chatkeep.domain.use_cases import Chatkeep
from chatkeep.domain.user_list import check_prefix
from chatkeep.entrypoints.http import cursors
from chatkeep.entrypoints.http.auth.authentication import FOR_SERVICES, require_service
from chatkeep.entrypoints.http.body import JsonRequest
from chatkeep.entrypoints.http.problems import problems
from chatkeep.entrypoints.http.routes.parameters import Cursor, Limit
from chatkeep.entrypoints.http.user_schemas import ListedUserOut, UserPageOut

Prefix = Annotated[
    str | None,
    Parameter(
        description="only users whose ids begin with this text",
        schema_extra={"maxLength": MAX_ID_CHARS},
    ),
]
_FIRST: Final = ""


class _UsersCursor(msgspec.Struct, array_like=True, frozen=True, tag="users"):
    """The start of the next page of a list of users with a prefix."""

    prefix: str
    after: str


def user_list_route(chatkeep: Chatkeep) -> HTTPRouteHandler:
    @get(
        "/users",
        operation_id="listUsers",
        security=FOR_SERVICES,
        summary="List users",
        response_description="A page; on the last one `next_cursor` is null.",
        responses=problems(),
    )
    async def list_users(
        request: JsonRequest,
        *,
        prefix: FromQuery[Prefix] = None,
        limit: FromQuery[Limit] = 20,
        cursor: FromQuery[Cursor] = None,
    ) -> UserPageOut:
        """List all users by id, in the order of its code points. For service keys only.

        At most 1,000 conversations of each user are counted; `GET /v1/me` with their id in
        `X-User-Id` counts all, and their messages.
        """
        require_service(request.user)
        start = _UsersCursor(prefix or "", _FIRST)
        if cursor is not None:
            start = _decode(cursor)
            cursors.check_agrees("prefix", prefix, start.prefix)
        page = await chatkeep.user_list.page(prefix=start.prefix, after=start.after, limit=limit)
        return UserPageOut(
            items=[ListedUserOut.from_domain(user) for user in page.items],
            next_cursor=None
            if page.next is None
            else cursors.encode(_UsersCursor(start.prefix, page.next)),
        )

    return list_users


def _decode(text: str) -> _UsersCursor:
    """Return a cursor of this list. Raises `InvalidValueError`."""
    cursor = cursors.decode(text, _UsersCursor)
    try:
        check_prefix(cursor.prefix)
        check_user_id(cursor.after)
    except InvalidValueError:
        raise cursors.unknown_cursor() from None
    return cursor
