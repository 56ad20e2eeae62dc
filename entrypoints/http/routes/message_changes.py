"""Changes of what is in a conversation: handlers parse, call one use case and convert."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from litestar import Response, delete, put
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery, JSONBody, Parameter, QueryParameter

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.model import ConversationId, MessageId
from chatkeep.domain.use_cases import Chatkeep
from chatkeep.entrypoints.http.auth.authentication import require_user
from chatkeep.entrypoints.http.body import JsonRequest
from chatkeep.entrypoints.http.change_schemas import ReplacedOut, ReplaceMessages, TruncatedOut
from chatkeep.entrypoints.http.preconditions import ETAG_HEADER, read_expected
from chatkeep.entrypoints.http.problems import etag, problems
from chatkeep.entrypoints.http.routes.parameters import ConversationPath
from chatkeep.entrypoints.http.schemas import to_domain

MessagePath = FromPath[Annotated[UUID, Parameter(description="which message")]]


def message_changes(chatkeep: Chatkeep) -> Sequence[HTTPRouteHandler]:
    """Return the handlers that delete and rewrite messages."""

    @delete(
        "/messages",
        operation_id="truncateMessages",
        summary="Truncate the conversation",
        response_description="The end is deleted.",
        status_code=200,
        responses=problems(404, 409),
    )
    async def truncate(
        request: JsonRequest,
        conversation_id: ConversationPath,
        after: FromQuery[
            Annotated[UUID | None, Parameter(description="delete what is after this message")]
        ] = None,
        start: FromQuery[
            Annotated[
                UUID | None,
                QueryParameter(name="from", description="delete this message and what is after it"),
            ]
        ] = None,
    ) -> TruncatedOut:
        """Delete the end of the conversation permanently: give either `after` or `from`.

        All entries there are deleted, items of OpenAI's API included; 409 while the conversation is
        on hold. The time of the last activity does not change.
        """
        message_id = start if after is None else after
        if message_id is None or (after is not None and start is not None):
            raise InvalidValueError("after", "give either `after` or `from`, with a message's id")
        return TruncatedOut.from_domain(
            await chatkeep.truncate(
                require_user(request.user),
                ConversationId(conversation_id),
                MessageId(message_id),
                keep=after is not None,
            )
        )

    @put(
        "/messages",
        operation_id="replaceMessages",
        summary="Replace the end of the conversation",
        response_description="It is replaced, by this request or by an earlier, equal one.",
        responses=problems(404, 409, body=True),
    )
    async def replace(
        request: JsonRequest, conversation_id: ConversationPath, data: JSONBody[ReplaceMessages]
    ) -> ReplacedOut:
        """Delete what is after a message and append `messages`, all or nothing.

        Nothing changes unless the messages there are the `expected` ones: otherwise the answer is
        409, and `found` has the ids of those that are there. 409 also while the conversation is on
        hold. The new messages get new places and times, also one with the id of a deleted message.
        """
        messages = await request.convert(lambda: to_domain(data.messages, chatkeep.limits))
        return ReplacedOut.from_domain(
            await chatkeep.replace(
                require_user(request.user),
                ConversationId(conversation_id),
                messages,
                after=None if data.after is None else MessageId(data.after),
                expected=[MessageId(each) for each in data.expected],
            )
        )

    @delete(
        "/messages/{message_id:uuid}",
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

    return [truncate, replace, delete_one]
