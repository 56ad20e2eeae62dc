"""/v1/conversations/{id}/events and /v1/events: what happens, as a stream or by long polls."""

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Annotated, Any, Final

from litestar import Response, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromQuery, Parameter

from chatkeep.domain.event_use_cases import EventUseCases
from chatkeep.domain.events import ENDED, FROM_START, Mark, newest_at
from chatkeep.domain.feed import FeedMark
from chatkeep.domain.feed_use_cases import FeedUseCases
from chatkeep.domain.hub import Watch
from chatkeep.domain.model import ConversationId, UserId
from chatkeep.entrypoints.http.auth.authentication import FOR_USERS, require_user
from chatkeep.entrypoints.http.body import JsonRequest
from chatkeep.entrypoints.http.event_cursors import (
    encode_feed_mark,
    encode_mark,
    has_ended_idle,
    read_feed_mark,
    read_mark,
)
from chatkeep.entrypoints.http.event_schemas import EventOut, EventsOut
from chatkeep.entrypoints.http.event_stream import Batch, EventSource, EventText
from chatkeep.entrypoints.http.event_types import OF_CONVERSATION, OF_FEED, Types, choose_types
from chatkeep.entrypoints.http.live_stream import LiveStream, Pace, Streaming
from chatkeep.entrypoints.http.problems import problems
from chatkeep.entrypoints.http.responses import JsonResponse
from chatkeep.entrypoints.http.router import Router
from chatkeep.entrypoints.http.routes.parameters import ConversationPath
from chatkeep.entrypoints.http.server.ending import Ending, ending_of

MAX_WAIT: Final = 60

AfterCursor = Annotated[
    str | None,
    Parameter(
        description="the cursor to go on from: the id of an event, or `next_cursor`; `start` for "
        "all events (default: those from now on)"
    ),
]
Wait = Annotated[
    int | None,
    Parameter(
        ge=0,
        le=MAX_WAIT,
        description="answer with JSON, as soon as there are events, after this many seconds at the "
        "latest",
    ),
]


_ANSWERS: Final = {
    200: ResponseSpec(
        EventsOut,
        generate_examples=False,
        description="The events, as they happen; with `wait` the next ones.",
    ),
    204: ResponseSpec(None, description="The stream ended idle: do not reconnect."),
}


def event_routes(
    live: EventUseCases, feed: FeedUseCases, pace: Pace, report: Callable[[int], None]
) -> Router:
    """Return the routes. They report what they have sent (`LiveStream`)."""

    def stream(source: EventSource, request: JsonRequest) -> Response[Any]:
        seconds = request.user.expires_at - time.time()
        return LiveStream(Streaming(EventText(source), pace, seconds, live.clock, report))

    @get(
        "/events",
        operation_id="followConversation",
        summary="Follow a conversation",
        responses={
            **problems(404, 410),
            **_ANSWERS,
        },
    )
    async def follow(
        request: JsonRequest,
        conversation_id: ConversationPath,
        after: FromQuery[AfterCursor] = None,
        wait: FromQuery[Wait] = None,
        types: FromQuery[Types] = None,
    ) -> Response[Any]:
        """Server-sent events: each message of the conversation once it is stored, and each change.

        The id of an event is a cursor. A browser reconnects with it; other clients send it as
        `after` or `Last-Event-ID`. See docs/live.md.
        """
        if has_ended_idle(request):
            return Response(None, status_code=204)
        user_id, its_id = require_user(request.user), ConversationId(conversation_id)
        mark = read_mark(request, after)
        if mark is None:
            mark = await live.latest(user_id, its_id)
        reader = _ConversationSource(live, user_id, its_id, mark)
        source = choose_types(reader, types, OF_CONVERSATION)
        if wait is not None:
            return JsonResponse(await _poll(source, wait, ending_of(request.scope)))
        return stream(source, request)

    @get(
        "/events",
        operation_id="followMe",
        summary="Follow all my conversations",
        responses={**problems(410), **_ANSWERS},
    )
    async def follow_all(
        request: JsonRequest,
        after: FromQuery[AfterCursor] = None,
        wait: FromQuery[Wait] = None,
        types: FromQuery[Types] = None,
    ) -> Response[Any]:
        """Server-sent events of all conversations of the caller: for a list that stays true.

        New, changed and deleted conversations and messages, but no drafts. See docs/live.md.
        """
        if has_ended_idle(request):
            return Response(None, status_code=204)
        user_id = require_user(request.user)
        mark = read_feed_mark(request, after)
        if mark is None:
            mark = await feed.start(user_id)
        source = choose_types(_FeedSource(feed, user_id, mark), types, OF_FEED)
        if wait is not None:
            return JsonResponse(await _poll(source, wait, ending_of(request.scope)))
        return stream(source, request)

    one = Router("/conversations/{conversation_id:str}", route_handlers=[follow])
    return Router("/", tags=["events"], security=FOR_USERS, route_handlers=[one, follow_all])


@dataclass(slots=True)
class _ConversationSource:
    live: EventUseCases
    user_id: UserId
    conversation_id: ConversationId
    mark: Mark

    def watching(self) -> AbstractContextManager[Watch]:
        return self.live.watch(self.user_id, self.conversation_id)

    async def read(self, watch: Watch) -> Batch:
        key = (self.user_id, self.conversation_id, self.mark._replace(at=0))
        self.mark, batch = await self.live.hub.share(watch, key, self._load)
        watch.has_read(self.mark, events=bool(batch.events))
        return batch

    async def _load(self) -> tuple[Mark, Batch]:
        page = await self.live.read(self.user_id, self.conversation_id, self.mark)
        events = [(encode_mark(each.mark), EventOut.from_domain(each)) for each in page.events]
        is_written = page.pending is not None and page.mark.chunk != ENDED
        return page.mark, Batch(
            events,
            encode_mark(page.mark),
            page.more,
            page.is_over,
            due_at=page.pending.deadline if page.pending is not None and is_written else None,
            stored_at=newest_at(page.events, page.pending),
        )


@dataclass(slots=True)
class _FeedSource:
    feed: FeedUseCases
    user_id: UserId
    mark: FeedMark

    def watching(self) -> AbstractContextManager[Watch]:
        return self.feed.live.watch(self.user_id, None, self.mark.since)

    async def read(self, watch: Watch) -> Batch:
        page = await self.feed.read(self.user_id, self.mark)
        self.mark = page.mark
        watch.has_read(FROM_START, events=bool(page.events))
        cursor = encode_feed_mark(page.mark)
        names: list[str | None] = [None] * len(page.events)
        names[-1:] = [cursor] if names else []
        events = [
            (name, EventOut.from_domain(each))
            for name, each in zip(names, page.events, strict=True)
        ]
        return Batch(events, cursor, page.more, stored_at=newest_at(page.events))


async def _poll(source: EventSource, seconds: float, ending: Ending) -> EventsOut:
    """Return the next events; none if nothing happens for `seconds`."""
    now = asyncio.get_running_loop().time
    until = now() + seconds
    with source.watching() as watch:
        ending.add(watch.wake)
        try:
            while True:
                batch = await source.read(watch)
                if batch.events or ending.has_begun:
                    break
                if not batch.more and not await watch.wait(max(0.0, until - now())):
                    break
        finally:
            ending.remove(watch.wake)
    return EventsOut(items=[event for _, event in batch.events], next_cursor=batch.cursor)
