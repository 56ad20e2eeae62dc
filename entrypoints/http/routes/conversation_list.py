"""GET /v1/conversations: the list, with filters."""

from typing import Annotated

from litestar import get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromQuery, Parameter
from msgspec import UNSET, UnsetType

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.finding import Filter, LastSeen, Sort
from chatkeep.domain.ids import of_user, parse_id
from chatkeep.domain.model import ConversationId, Status, UserId
from chatkeep.domain.use_cases import Chatkeep
from chatkeep.entrypoints.http import cursors
from chatkeep.entrypoints.http.auth.authentication import require_user
from chatkeep.entrypoints.http.body import JsonRequest
from chatkeep.entrypoints.http.conversation_schemas import (
    ConversationOut,
    ConversationPage,
    CountOut,
)
from chatkeep.entrypoints.http.cursors import ConversationsCursor, FilteredCursor
from chatkeep.entrypoints.http.problems import problems
from chatkeep.entrypoints.http.routes.parameters import TIME, Cursor, Limit, parse_time
from chatkeep.entrypoints.http.routing import OBJECTS, read_object

SortBy = Annotated[
    Sort | None,
    Parameter(description="the time by which the latest is first (default: updated)"),
]
UpdatedAfter = Annotated[
    str | None,
    Parameter(description="only with activity after this time", schema_extra=TIME),
]
UpdatedBefore = Annotated[
    str | None,
    Parameter(description="only with their last activity before this time", schema_extra=TIME),
]
AfterConversation = Annotated[
    str | None,
    Parameter(description="go on behind the conversation with this id, instead of a cursor"),
]


def list_route(chatkeep: Chatkeep) -> HTTPRouteHandler:
    @get(
        "/",
        operation_id="listConversations",
        summary="List my conversations",
        response_description="A page; on the last one `next_cursor` is null.",
        responses=problems(404),
        opt={OBJECTS: ("metadata",)},
    )
    async def list_conversations(  # noqa: PLR0913 - the parameters of the query
        request: JsonRequest,
        *,
        status: FromQuery[
            Annotated[Status | None, Parameter(description="only this status")]
        ] = None,
        updated_after: FromQuery[UpdatedAfter] = None,
        updated_before: FromQuery[UpdatedBefore] = None,
        sort: FromQuery[SortBy] = None,
        count: FromQuery[
            Annotated[bool, Parameter(description="whether to count the conversations")]
        ] = False,
        limit: FromQuery[Limit] = 20,
        cursor: FromQuery[Cursor] = None,
        after: FromQuery[AfterConversation] = None,
    ) -> ConversationPage:
        """List with the latest activity first. Message counts are included, messages are not.

        Filters combine: all of them must match. With filters by metadata or time, or by `active`,
        one request reads at most 2,000 conversations. A page may then have few items or none: go on
        until `next_cursor` is null. With `sort=created` the list must have at most 10,000
        conversations between `updated_after` and `updated_before`; 422 otherwise. `count` counts
        those of all pages among at most 10,000 between these times. With `after` the page begins
        behind the place that this conversation has now; 404 if it does not exist.
        """
        wanted = Filter(
            status=status,
            metadata=read_object(request, "metadata"),
            updated_after=parse_time("updated_after", updated_after),
            updated_before=parse_time("updated_before", updated_before),
        )
        start = None
        if cursor is not None:
            start = cursors.decode_conversations(cursor)
            cursors.check_filter_agrees(wanted, start.wanted)
            cursors.check_agrees("sort", sort, start.sort)
            wanted, sort = start.wanted, start.sort
        sort = sort or Sort.UPDATED
        user_id = require_user(request.user)
        last_seen = start.after if start else None
        if after is not None:
            if start is not None:
                raise InvalidValueError("after", "cannot be combined with cursor")
            last_seen = await _last_seen(chatkeep, user_id, after, sort)
        next_cursor: ConversationsCursor | FilteredCursor | None = None
        if wanted.is_plain and sort is Sort.UPDATED:
            page = await chatkeep.list_conversations(
                user_id, status=wanted.status, after=last_seen, limit=limit
            )
            if page.next is not None:
                next_cursor = ConversationsCursor(wanted.status, page.next.at, page.next.id)
            items = page.items
        else:
            found = await chatkeep.find_conversations(
                user_id, wanted, sort=sort, after=last_seen, limit=limit
            )
            if found.next is not None:
                next_cursor = FilteredCursor.of(wanted, sort, found.next)
            items = tuple(found.items)
        counted: CountOut | UnsetType = UNSET
        if count:
            whole = await chatkeep.count_conversations(user_id, wanted)
            counted = CountOut(value=whole.value, exact=whole.exact)
        return ConversationPage(
            items=[ConversationOut.from_domain(conversation) for conversation in items],
            next_cursor=None if next_cursor is None else cursors.encode(next_cursor),
            count=counted,
        )

    return list_conversations


async def _last_seen(chatkeep: Chatkeep, user_id: UserId, after: str, sort: Sort) -> LastSeen:
    """Return where this conversation is in a list. Raises `ConversationNotFoundError`."""
    found = await chatkeep.get_conversation(
        user_id, ConversationId(of_user(user_id, parse_id(after, field="after")))
    )
    return LastSeen(found.updated_at if sort is Sort.UPDATED else found.created_at, found.id)
