"""/v1/conversations/{id}/drafts/{id}/stream: an answer in one long request body."""

from typing import Annotated

from litestar import Response, post
from litestar.params import FromQuery, Parameter

from chatkeep.domain.draft_errors import DraftEndedError
from chatkeep.domain.drafts import FIRST_CHUNK, FIRST_EPOCH, Draft, DraftId, EndedDraft, NewChunks
from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.model import ConversationId
from chatkeep.domain.use_cases import Chatkeep
from chatkeep.entrypoints.http.auth.authentication import FOR_USERS, require_user
from chatkeep.entrypoints.http.body import JsonRequest
from chatkeep.entrypoints.http.draft_schemas import DraftOut, EndedDraftOut
from chatkeep.entrypoints.http.draft_stream import DraftWriter, reader_for
from chatkeep.entrypoints.http.metrics.request_metrics import Metrics
from chatkeep.entrypoints.http.problems import etag, problems
from chatkeep.entrypoints.http.responses import JsonResponse
from chatkeep.entrypoints.http.router import Router
from chatkeep.entrypoints.http.routes.drafts import DraftPath
from chatkeep.entrypoints.http.routes.parameters import MAX_INTEGER, ConversationPath
from chatkeep.entrypoints.http.server.ending import ending_of


def draft_stream_routes(chatkeep: Chatkeep, metrics: Metrics) -> Router:
    @post(
        "/drafts/{draft_id:str}/stream",
        operation_id="streamDraft",
        summary="Write a draft as one long body",
        status_code=200,
        response_description="What came is stored; with `finish`, the draft is finished.",
        responses=problems(404, 409, body=True),
    )
    async def stream(  # noqa: PLR0913, PLR0917 - parameters of the request
        request: JsonRequest,
        conversation_id: ConversationPath,
        draft_id: DraftPath,
        epoch: FromQuery[
            Annotated[
                int | None,
                Parameter(
                    ge=FIRST_EPOCH,
                    le=MAX_INTEGER,
                    description="the one that the start gave you; it must be given",
                ),
            ]
        ] = None,
        seq: FromQuery[
            Annotated[
                int | None,
                Parameter(
                    ge=FIRST_CHUNK,
                    le=MAX_INTEGER,
                    description="the number of the body's first chunk (default: the next one)",
                ),
            ]
        ] = None,
        finish: FromQuery[  # noqa: FBT002 - a query parameter
            Annotated[bool, Parameter(description="finish the draft at the end of the body")]
        ] = False,
    ) -> Response[EndedDraftOut]:
        """Write the body while it comes, in batches of 250 ms or 4 KB.

        `text/plain` is the answer's text; the lines of `application/x-ndjson` and the events of
        `text/event-stream` are chunks, as JSON. If the connection breaks, what came is stored, and
        the draft stays active until its deadline.
        """
        user_id, its_id = require_user(request.user), ConversationId(conversation_id)
        its_draft, drafts = DraftId(draft_id), chatkeep.drafts
        if epoch is None:
            raise InvalidValueError("epoch", "is missing: give the one that the start gave you")
        reader = reader_for(request, chatkeep.limits)
        draft = await drafts.get(user_id, its_id, its_draft)
        draft.check_writer(epoch)

        async def write(first: int, chunks: NewChunks) -> Draft:
            return await drafts.write(user_id, its_id, its_draft, epoch, first, chunks)

        async def overdue(known: Draft) -> Draft:
            now = await drafts.interrupt_overdue(known)
            if not now.is_active:
                raise DraftEndedError(now.id, now.status.value)
            return now

        def seconds_left(known: Draft) -> float:
            return (known.deadline - chatkeep.clock.now()).total_seconds()

        writer = DraftWriter(draft, seq, write, overdue, seconds_left)
        is_complete = await writer.run(request.receive, reader, ending_of(request.scope))
        if not (finish and is_complete):
            state = DraftOut.from_domain(writer.draft)
            return JsonResponse(EndedDraftOut(draft=state, message=None))
        ended: EndedDraft = await drafts.finish(user_id, its_id, its_draft, epoch)
        if ended.message is not None:
            metrics.record_append(1, over_soft_limit=False)
        return JsonResponse(EndedDraftOut.from_domain(ended), headers=etag(ended.revision))

    return Router(
        "/conversations/{conversation_id:str}",
        tags=["drafts"],
        security=FOR_USERS,
        route_handlers=[stream],
    )
