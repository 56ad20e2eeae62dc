"""/v1/conversations/{id}/drafts: handlers parse, call one use case and convert."""

from typing import Annotated
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody, Parameter

from chatkeep.domain.drafts import DraftId
from chatkeep.domain.ids import parse_id
from chatkeep.domain.model import ConversationId, MessageId
from chatkeep.domain.use_cases import Chatkeep
from chatkeep.entrypoints.http.auth.authentication import FOR_USERS, require_user
from chatkeep.entrypoints.http.body import JsonRequest
from chatkeep.entrypoints.http.draft_schemas import (
    CancelDraft,
    DraftOut,
    DraftsOut,
    EndedDraftOut,
    FinishDraft,
    ReadDraftOut,
    StartDraft,
    WriteChunks,
)
from chatkeep.entrypoints.http.json_documents import parse_metadata
from chatkeep.entrypoints.http.metrics.request_metrics import Metrics
from chatkeep.entrypoints.http.preconditions import ETAG_HEADER
from chatkeep.entrypoints.http.problems import etag, problems
from chatkeep.entrypoints.http.responses import JsonResponse
from chatkeep.entrypoints.http.router import Router
from chatkeep.entrypoints.http.routes.parameters import (
    MAX_INTEGER,
    BranchOf,
    ConversationPath,
    Limit,
)

DraftPath = FromPath[Annotated[UUID, Parameter(description="which draft")]]
AfterChunk = Annotated[
    int,
    Parameter(ge=0, le=MAX_INTEGER, description="only the chunks after the one with this number"),
]


def draft_routes(chatkeep: Chatkeep, metrics: Metrics) -> Router:
    @post(
        "/drafts",
        operation_id="startDraft",
        summary="Start a draft",
        response_description="It is active: started by this request, or by an earlier, equal one.",
        responses=problems(404, 409, body=True),
    )
    async def start(
        request: JsonRequest,
        conversation_id: ConversationPath,
        data: JSONBody[StartDraft],
        branch: FromQuery[BranchOf] = None,
    ) -> Response[DraftOut]:
        """Begin an answer that others can read while it is being written.

        A conversation has one active draft: while there is another one, the answer is 409 with its
        id, its epoch and the number of its next chunk. An active one that is past its deadline is
        interrupted, and so is any with `supersede`. See docs/live.md.
        """
        user_id, its_id = require_user(request.user), ConversationId(conversation_id)
        draft = await chatkeep.drafts.start(
            user_id,
            its_id,
            draft_id=None if data.id is None else DraftId(parse_id(data.id)),
            message_id=None
            if data.message_id is None
            else MessageId(parse_id(data.message_id, field="message_id")),
            place=data.place(its_id, branch),
            format_=data.format,
            metadata=parse_metadata(data.metadata, chatkeep.limits),
            lease=data.lease,
            supersede=data.supersede,
            keep=not data.discard,
        )
        return JsonResponse(DraftOut.from_domain(draft))

    @post(
        "/drafts/{draft_id:str}/chunks",
        operation_id="writeChunks",
        summary="Write chunks",
        status_code=200,
        response_description="They are stored, by this request or by earlier ones.",
        responses=problems(404, 409, body=True),
    )
    async def write(
        request: JsonRequest,
        conversation_id: ConversationPath,
        draft_id: DraftPath,
        data: JSONBody[WriteChunks],
    ) -> Response[DraftOut]:
        """Add chunks, all or none; those that are stored already are left out.

        409 says what is wrong: chunks before these are missing, another producer has taken over,
        or the draft has ended, for example since the user cancelled it. A new chunk moves the
        deadline.
        """
        draft = await chatkeep.drafts.write(
            require_user(request.user),
            ConversationId(conversation_id),
            DraftId(draft_id),
            data.epoch,
            data.seq,
            await request.convert(data.to_domain),
        )
        return JsonResponse(DraftOut.from_domain(draft))

    @post(
        "/drafts/{draft_id:str}/finish",
        operation_id="finishDraft",
        summary="Finish a draft",
        status_code=200,
        response_description="Its message is stored, by this request or by an earlier, equal one.",
        response_headers=[ETAG_HEADER],
        responses=problems(404, 409, body=True),
    )
    async def finish(
        request: JsonRequest,
        conversation_id: ConversationPath,
        draft_id: DraftPath,
        data: JSONBody[FinishDraft],
    ) -> Response[EndedDraftOut]:
        """End the draft and append its message, both or neither: what the chunks make, or another.

        A draft without chunks and without `message` leaves no message.
        """
        user_id, its_id = require_user(request.user), ConversationId(conversation_id)
        ended = await chatkeep.drafts.finish(
            user_id,
            its_id,
            DraftId(draft_id),
            data.epoch,
            await request.convert(lambda: data.to_domain(its_id, chatkeep.limits)),
        )
        if ended.message is not None:
            metrics.record_append(1, over_soft_limit=False)
        return JsonResponse(EndedDraftOut.from_domain(ended), headers=etag(ended.revision))

    @post(
        "/drafts/{draft_id:str}/cancel",
        operation_id="cancelDraft",
        summary="Cancel a draft",
        status_code=200,
        response_description="It is cancelled, by this request or by an earlier one.",
        response_headers=[ETAG_HEADER],
        responses=problems(404, 409, body=True),
    )
    async def cancel(
        request: JsonRequest,
        conversation_id: ConversationPath,
        draft_id: DraftPath,
        data: JSONBody[CancelDraft],
    ) -> Response[EndedDraftOut]:
        """End the draft, from any device of the user.

        What there is of the answer becomes a message, with `chatkeep.interrupted` in its metadata,
        unless `keep` is false. The producer learns it at its next write. 409 if the draft has ended
        otherwise.
        """
        ended = await chatkeep.drafts.cancel(
            require_user(request.user),
            ConversationId(conversation_id),
            DraftId(draft_id),
            keep=data.keep,
        )
        return JsonResponse(EndedDraftOut.from_domain(ended), headers=etag(ended.revision))

    @get(
        "/drafts/{draft_id:str}",
        operation_id="getDraft",
        summary="Read a draft",
        response_description="The draft, and what there is of it.",
        responses=problems(404),
    )
    async def read(
        request: JsonRequest,
        conversation_id: ConversationPath,
        draft_id: DraftPath,
        after: FromQuery[AfterChunk] = 0,
    ) -> Response[ReadDraftOut]:
        """Its state, and its text or its chunks: all of them, or those after a chunk.

        An ended draft can be read for an hour.
        """
        page = await chatkeep.drafts.read(
            require_user(request.user),
            ConversationId(conversation_id),
            DraftId(draft_id),
            after=after,
        )
        return JsonResponse(ReadDraftOut.from_domain(page, after))

    @get(
        "/drafts",
        operation_id="listDrafts",
        summary="List the latest drafts",
        response_description="The latest drafts; if one is active, it is the first.",
        responses=problems(404),
    )
    async def latest(
        request: JsonRequest, conversation_id: ConversationPath, limit: FromQuery[Limit] = 20
    ) -> Response[DraftsOut]:
        """List the active draft, and those that ended in the last hour, without their chunks."""
        found = await chatkeep.drafts.latest(
            require_user(request.user), ConversationId(conversation_id), limit=limit
        )
        return JsonResponse(DraftsOut(items=[DraftOut.from_domain(draft) for draft in found]))

    return Router(
        "/conversations/{conversation_id:str}",
        tags=["drafts"],
        security=FOR_USERS,
        route_handlers=[start, write, finish, cancel, read, latest],
    )
