"""Changes of what is in a conversation: handlers parse, call one use case and convert."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from litestar import Response, delete, patch, put
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, FromQuery, JSONBody, Parameter, QueryParameter

from chatkeep.domain.editing import Stored
from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.model import ConversationId, MessageId
from chatkeep.domain.use_cases import Chatkeep
from chatkeep.entrypoints.http.auth.authentication import require_user
from chatkeep.entrypoints.http.body import JsonRequest
from chatkeep.entrypoints.http.change_schemas import (
    PatchMessage,
    ReplacedOut,
    ReplaceMessages,
    TruncatedOut,
)
from chatkeep.entrypoints.http.idempotency import read_key
from chatkeep.entrypoints.http.ids import message_in_query, parse_message_id
from chatkeep.entrypoints.http.message_schemas import MessageOut, NewMessage, to_domain
from chatkeep.entrypoints.http.metrics.request_metrics import Metrics
from chatkeep.entrypoints.http.preconditions import ETAG_HEADER, read_expected
from chatkeep.entrypoints.http.problems import etag, problems
from chatkeep.entrypoints.http.responses import JsonResponse
from chatkeep.entrypoints.http.routes.parameters import ConversationPath
from chatkeep.entrypoints.http.routing import TEXTS

MessagePath = FromPath[Annotated[UUID, Parameter(description="which message")]]


def message_changes(chatkeep: Chatkeep, metrics: Metrics) -> Sequence[HTTPRouteHandler]:
    """Return the handlers that delete and rewrite messages."""

    @delete(
        "/messages",
        operation_id="truncateMessages",
        summary="Truncate the conversation",
        response_description="The end is deleted.",
        status_code=200,
        response_headers=[ETAG_HEADER],
        responses=problems(404, 409, 412),
        opt={TEXTS: ("after", "from")},
    )
    async def truncate(
        request: JsonRequest,
        conversation_id: ConversationPath,
        after: FromQuery[  # noqa: ARG001 - read from the query
            Annotated[
                str | None, Parameter(description="delete what is after the message with this id")
            ]
        ] = None,
        start: FromQuery[  # noqa: ARG001 - the same
            Annotated[
                str | None,
                QueryParameter(
                    name="from",
                    description="delete the message with this id and what is after it",
                ),
            ]
        ] = None,
    ) -> Response[TruncatedOut]:
        """Delete the end of the conversation permanently: give either `after` or `from`.

        All entries there are deleted, items of OpenAI's API included; 409 while the conversation is
        on hold. The time of the last activity does not change.
        """
        last_kept = message_in_query(request, "after", conversation_id)
        first_gone = message_in_query(request, "from", conversation_id)
        message_id = first_gone if last_kept is None else last_kept
        if message_id is None or (last_kept is not None and first_gone is not None):
            raise InvalidValueError("after", "give either `after` or `from`, with a message's id")
        user_id, its_id = require_user(request.user), ConversationId(conversation_id)
        truncated = await chatkeep.truncate(
            user_id,
            its_id,
            message_id,
            keep=last_kept is not None,
            expected=await read_expected(request, chatkeep, user_id, its_id),
        )
        return JsonResponse(TruncatedOut.from_domain(truncated), headers=etag(truncated.revision))

    @put(
        "/messages",
        operation_id="replaceMessages",
        summary="Replace the end of the conversation",
        response_description="It is replaced, by this request or by an earlier, equal one.",
        response_headers=[ETAG_HEADER],
        responses=problems(404, 409, 412, body=True),
    )
    async def replace(
        request: JsonRequest, conversation_id: ConversationPath, data: JSONBody[ReplaceMessages]
    ) -> Response[ReplacedOut]:
        """Delete what is after a message and append `messages`, all or nothing.

        Nothing changes unless the messages there are the `expected` ones: otherwise the answer is
        409, and `found` has the ids of those that are there. 409 also while the conversation is on
        hold. The new messages get new places and times, also one with the id of a deleted message.
        """
        messages = await request.convert(lambda: to_domain(data.messages, chatkeep.limits))
        user_id, its_id = require_user(request.user), ConversationId(conversation_id)

        def named(text: str, field: str) -> MessageId:
            return parse_message_id(its_id, text, field=field)

        replaced = await chatkeep.replace(
            user_id,
            its_id,
            messages,
            after=None if data.after is None else named(data.after, "after"),
            suffix=[named(each, f"expected[{n}]") for n, each in enumerate(data.expected)],
            key=await read_key(request),
            expected=await read_expected(request, chatkeep, user_id, its_id),
        )
        return JsonResponse(ReplacedOut.from_domain(replaced), headers=etag(replaced.revision))

    @put(
        "/messages/{message_id:str}",
        operation_id="putMessage",
        summary="Store a message under its id",
        response_description="It is in the place of the message that had this id.",
        response_headers=[ETAG_HEADER],
        responses={
            **problems(404, 409, 412, body=True),
            201: ResponseSpec(MessageOut, description="It is new, at the end."),
        },
    )
    async def put_one(
        request: JsonRequest,
        conversation_id: ConversationPath,
        message_id: MessagePath,
        data: JSONBody[NewMessage],
    ) -> Response[MessageOut]:
        """Append the message, or replace all fields of the message that has this id.

        A replaced message keeps its place and `created_at`, and gets the time of the edit as
        `edited_at`. It is safe to send again: an equal message changes nothing. 409 for the id of a
        message of another conversation, and to replace one while its conversation is on hold.
        """
        user_id, its_id = require_user(request.user), ConversationId(conversation_id)
        if data.id is not None and parse_message_id(its_id, data.id, field="id") != message_id:
            raise InvalidValueError("id", "is not the id in the path; leave it out")
        data.id = str(message_id)
        stored = await chatkeep.put_message(
            user_id,
            its_id,
            await request.convert(lambda: data.to_domain(chatkeep.limits)),
            expected=await read_expected(request, chatkeep, user_id, its_id),
        )
        if stored.created:
            metrics.record_append(1, over_soft_limit=False)
        return _answer(stored)

    @patch(
        "/messages/{message_id:str}",
        operation_id="patchMessage",
        summary="Change a message's metadata",
        response_description="The message as it is now.",
        response_headers=[ETAG_HEADER],
        responses=problems(404, 409, 412, body=True),
    )
    async def patch_one(
        request: JsonRequest,
        conversation_id: ConversationPath,
        message_id: MessagePath,
        data: JSONBody[PatchMessage],
    ) -> Response[MessageOut]:
        """Change what is noted about a message, such as feedback, usage or labels.

        `metadata` is a merge patch, so that several clients may change different members at once.
        This is not an edit: `edited_at` stays. 409 while the conversation is on hold.
        """
        changes = await request.convert(lambda: data.to_domain(chatkeep.limits))
        user_id, its_id = require_user(request.user), ConversationId(conversation_id)
        return _answer(
            await chatkeep.patch_message(
                user_id,
                its_id,
                MessageId(message_id),
                changes,
                expected=await read_expected(request, chatkeep, user_id, its_id),
            )
        )

    @delete(
        "/messages/{message_id:str}",
        operation_id="deleteMessage",
        summary="Delete a message",
        response_description="It is deleted.",
        response_headers=[ETAG_HEADER],
        responses=problems(404, 409, 412),
    )
    async def delete_one(
        request: JsonRequest, conversation_id: ConversationPath, message_id: MessagePath
    ) -> Response[None]:
        """Delete it permanently; 409 while its conversation is on hold.

        The order of the other messages and the time of the last activity do not change.
        """
        user_id, its_id = require_user(request.user), ConversationId(conversation_id)
        revision = await chatkeep.delete_message(
            user_id,
            its_id,
            MessageId(message_id),
            expected=await read_expected(request, chatkeep, user_id, its_id),
        )
        return Response(None, headers=etag(revision))

    return [truncate, replace, put_one, patch_one, delete_one]


def _answer(stored: Stored) -> Response[MessageOut]:
    return JsonResponse(
        MessageOut.from_domain(stored.message),
        status_code=201 if stored.created else 200,
        headers=etag(stored.revision),
    )
