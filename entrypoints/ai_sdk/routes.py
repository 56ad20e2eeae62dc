"""/ai-sdk/{chat}/stream: where `useChat` takes up an answer that is still being written."""

import time
from collections.abc import Callable
from typing import Any

from litestar import Response, get, post
from litestar.openapi.datastructures import ResponseSpec

from chatkeep.domain.draft_errors import DraftEndedError
from chatkeep.domain.drafts import TEXT, Draft
from chatkeep.domain.errors import ConversationNotFoundError
from chatkeep.domain.model import ConversationId, UserId
from chatkeep.domain.use_cases import Chatkeep
from chatkeep.entrypoints.ai_sdk.ui_message_stream import AI_SDK, UIMessages
from chatkeep.entrypoints.http.auth.authentication import FOR_USERS, require_user
from chatkeep.entrypoints.http.body import JsonRequest
from chatkeep.entrypoints.http.live_stream import EVENT_STREAM, LiveStream, Pace, Streaming
from chatkeep.entrypoints.http.problems import problems
from chatkeep.entrypoints.http.router import Router
from chatkeep.entrypoints.http.routes.parameters import ConversationPath


def ai_sdk_routes(chatkeep: Chatkeep, report: Callable[[int], None]) -> Router:
    """Return the routes. They report what they have sent (`LiveStream`)."""

    async def find_active(user_id: UserId, conversation_id: ConversationId) -> Draft | None:
        """Return the draft that is being written, if the AI SDK can read it."""
        try:
            found = await chatkeep.drafts.latest(user_id, conversation_id, limit=1)
        except ConversationNotFoundError:  # a chat without messages yet is not stored
            return None
        active = [each for each in found if each.is_active and each.format in {TEXT, AI_SDK}]
        return active[0] if active else None

    @get(
        "/stream",
        operation_id="resumeStream",
        summary="Take up the answer that is being written",
        responses={
            **problems(),
            200: ResponseSpec(
                str,
                media_type=EVENT_STREAM,
                generate_examples=False,
                description="A UI message stream, from the start of the answer.",
            ),
            204: ResponseSpec(None, description="No answer is being written."),
        },
    )
    async def resume(request: JsonRequest, conversation_id: ConversationPath) -> Response[Any]:
        """Replay the active draft, and go on with it until it ends; for `useChat({resume: true})`.

        A reader who leaves stops nothing. See docs/live.md.
        """
        user_id = require_user(request.user)
        draft = await find_active(user_id, ConversationId(conversation_id))
        if draft is None:
            return Response(None, status_code=204)
        seconds = request.user.expires_at - time.time()
        source = UIMessages(chatkeep.drafts, chatkeep.live, draft)
        return LiveStream(Streaming(source, Pace(), seconds, chatkeep.clock, report))

    @post(
        "/stop",
        operation_id="stopStream",
        summary="Stop the answer that is being written",
        status_code=204,
        response_description="No answer is being written.",
        responses=problems(),
    )
    async def stop(request: JsonRequest, conversation_id: ConversationPath) -> None:
        """Cancel the active draft, from any tab. What there is of it becomes a message."""
        user_id, its_id = require_user(request.user), ConversationId(conversation_id)
        draft = await find_active(user_id, its_id)
        if draft is not None:
            try:
                await chatkeep.drafts.cancel(user_id, its_id, draft.id)
            except DraftEndedError:  # it has just been finished
                return

    return Router(
        "/{conversation_id:str}",
        tags=["ai-sdk"],
        security=FOR_USERS,
        route_handlers=[resume, stop],
    )
