"""/v1/search: the handler parses, calls one use case and converts."""

from typing import Annotated

from litestar import get
from litestar.params import FromQuery, Parameter

from chatkeep.domain.search import Left
from chatkeep.domain.use_cases import Chatkeep
from chatkeep.entrypoints.http import search_cursors
from chatkeep.entrypoints.http.auth.authentication import FOR_USERS, require_user
from chatkeep.entrypoints.http.body import JsonRequest
from chatkeep.entrypoints.http.problems import problems
from chatkeep.entrypoints.http.router import Router
from chatkeep.entrypoints.http.routes.parameters import Limit
from chatkeep.entrypoints.http.routing import TEXTS
from chatkeep.entrypoints.http.search_schemas import (
    HitOut,
    QueryOut,
    SearchGroup,
    SearchPageOut,
    left_out,
)


def search_routes(chatkeep: Chatkeep) -> Router:
    @get(
        "/search",
        operation_id="search",
        summary="Search what was said",
        response_description="A page; on the last one `next_cursor` is null.",
        responses=problems(),
        opt={TEXTS: ("q",)},
    )
    async def search(
        request: JsonRequest,
        q: FromQuery[
            Annotated[
                str,
                Parameter(
                    description='words (all of them), `"a phrase"`, `-without`, `OR`, `begin*`, '
                    "`title:`, `role:`, `in:` (a conversation), `is:archived`, `has:tool`, "
                    "`has:file`, `after:2026-01-31`, `before:`"
                ),
            ]
        ] = "",
        limit: FromQuery[Limit] = 20,
        group: FromQuery[
            Annotated[
                SearchGroup | None,
                Parameter(description="conversation: only the latest hit of each"),
            ]
        ] = None,
        cursor: FromQuery[
            Annotated[
                str | None,
                Parameter(description="`next_cursor` of the previous page of the same search"),
            ]
        ] = None,
    ) -> SearchPageOut:
        """Find my messages and items, and my conversations by their titles, latest first.

        Words are found in any language, whatever their case and accents. No query is an error:
        `query` says how it was read. Everything is found as it is stored now. See docs/search.md.
        """
        grouped = group is not None
        page = await chatkeep.searches.search(
            require_user(request.user),
            q,
            after=None if cursor is None else search_cursors.decode(cursor, q, grouped=grouped),
            limit=limit,
            grouped=grouped,
        )
        return SearchPageOut(
            items=[HitOut.from_domain(shown) for shown in page.items],
            next_cursor=None
            if page.next is None
            else search_cursors.encode(page.next, q, grouped=grouped),
            complete=page.left == Left(),
            left=left_out(page.left),
            query=QueryOut.from_domain(page.query),
        )

    return Router("/", tags=["search"], security=FOR_USERS, route_handlers=[search])
