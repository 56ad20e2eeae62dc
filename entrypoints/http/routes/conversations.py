"""/v1/conversations: each handler parses, calls one use case and converts."""

from litestar import Response, delete, get, patch, post, put
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import JSONBody
from msgspec import UnsetType

from chatkeep.domain.ids import of_user, parse_id
from chatkeep.domain.log import Created
from chatkeep.domain.model import Conversation, ConversationId, check_metadata, check_title
from chatkeep.domain.use_cases import Chatkeep
from chatkeep.entrypoints.http.auth.authentication import FOR_USERS, require_user
from chatkeep.entrypoints.http.auth.identity import Caller, IdentityError
from chatkeep.entrypoints.http.body import JsonRequest
from chatkeep.entrypoints.http.conversation_schemas import (
    ConversationOut,
    CreateConversation,
    CreatedConversation,
    PatchConversation,
    PutConversation,
)
from chatkeep.entrypoints.http.idempotency import read_key
from chatkeep.entrypoints.http.json_documents import parse_metadata
from chatkeep.entrypoints.http.message_schemas import MessageOut, to_domain
from chatkeep.entrypoints.http.preconditions import (
    ETAG_HEADER,
    UNCHANGED,
    Preconditions,
    answer_read,
    read_expected,
)
from chatkeep.entrypoints.http.problems import etag, problems
from chatkeep.entrypoints.http.responses import JsonResponse
from chatkeep.entrypoints.http.router import Router
from chatkeep.entrypoints.http.routes.conversation_list import list_route
from chatkeep.entrypoints.http.routes.parameters import ConversationPath


def conversation_routes(chatkeep: Chatkeep) -> Router:
    @post(
        "/",
        operation_id="createConversation",
        summary="Create a conversation",
        response_description="It is stored, by this request or by an earlier, equal one.",
        response_headers=[ETAG_HEADER],
        responses=problems(409, body=True),
    )
    async def create(
        request: JsonRequest, data: JSONBody[CreateConversation]
    ) -> Response[CreatedConversation]:
        """Create a conversation, with its first messages if you like, all or nothing.

        With an `id` of your choice it is safe to send the request again: the answer is what is
        stored, or 409 if that differs.
        """
        _check_may_hold(request.user, data.retain)
        limits, user_id = chatkeep.limits, require_user(request.user)
        conversation_id = None if data.id is None else of_user(user_id, parse_id(data.id))
        metadata, messages = await request.convert(
            lambda: (parse_metadata(data.metadata, limits), to_domain(data.messages, limits))
        )
        created = await chatkeep.create_conversation(
            user_id,
            conversation_id=conversation_id,
            title=data.title,
            metadata=metadata,
            messages=messages,
            retain=data.retain is True,
            key=await read_key(request),
        )
        return JsonResponse(_describe_created(created), headers=etag(created.conversation.revision))

    @put(
        "/{conversation_id:str}",
        operation_id="getOrCreateConversation",
        summary="Get a conversation, or create it",
        response_description="It existed.",
        response_headers=[ETAG_HEADER],
        responses={
            **problems(404, 409, 412, body=True),
            201: ResponseSpec(ConversationOut, description="It was created."),
        },
    )
    async def get_or_create(
        request: JsonRequest,
        conversation_id: ConversationPath,
        data: JSONBody[PutConversation | None] = None,
    ) -> Response[ConversationOut]:
        """For a chat endpoint that does not know whether it exists: 201 if it was created.

        The body says how to create it; an existing conversation is not changed. With `If-Match`
        nothing is created. With `If-None-Match: *` the answer is 412 if it exists.
        """
        new = data or PutConversation()
        _check_may_hold(request.user, new.retain)
        user_id, its_id = require_user(request.user), ConversationId(conversation_id)
        metadata = await request.convert(lambda: parse_metadata(new.metadata, chatkeep.limits))
        check_title(new.title, chatkeep.limits)  # before the conditions
        check_metadata(metadata, chatkeep.limits)
        conditions = Preconditions.of(request)
        if conditions.wanted is not None:
            existing = await chatkeep.get_conversation(user_id, its_id)
            conditions.check(its_id, existing.revision)
            return _answer(existing)
        found = await chatkeep.get_or_create_conversation(
            user_id,
            its_id,
            title=new.title,
            metadata=metadata,
            retain=new.retain is True,
        )
        if not found.created:
            conditions.check(its_id, found.conversation.revision)
        return _answer(found.conversation, 201 if found.created else 200)

    @get(
        "/{conversation_id:str}",
        operation_id="getConversation",
        summary="Get a conversation",
        response_description="The conversation.",
        response_headers=[ETAG_HEADER],
        responses={**problems(404, 412), **UNCHANGED},
    )
    async def get_one(
        request: JsonRequest, conversation_id: ConversationPath
    ) -> Response[ConversationOut]:
        """Title, status, metadata, message count and times; its messages have their own route."""
        found = await chatkeep.get_conversation(
            require_user(request.user), ConversationId(conversation_id)
        )
        return answer_read(
            request, found.id, found.revision, lambda: ConversationOut.from_domain(found)
        )

    @patch(
        "/{conversation_id:str}",
        operation_id="changeConversation",
        summary="Rename, archive, unarchive",
        response_description="The conversation as it is now.",
        response_headers=[ETAG_HEADER],
        responses=problems(404, 412, body=True),
    )
    async def change(
        request: JsonRequest, conversation_id: ConversationPath, data: JSONBody[PatchConversation]
    ) -> Response[ConversationOut]:
        """Change the title, the status or the metadata. This does not count as activity.

        A service key may also change `retain`. A conversation on hold works as usual, but neither
        it nor its messages nor its user can be deleted.
        """
        _check_may_hold(request.user, data.retain)
        changes = await request.convert(lambda: data.to_domain(chatkeep.limits))
        user_id, its_id = require_user(request.user), ConversationId(conversation_id)
        changed = await chatkeep.change_conversation(
            user_id,
            its_id,
            changes,
            expected=await read_expected(request, chatkeep, user_id, its_id),
        )
        return _answer(changed)

    @delete(
        "/{conversation_id:str}",
        operation_id="deleteConversation",
        summary="Delete a conversation",
        response_description="It is deleted.",
        responses=problems(404, 409, 412),
    )
    async def delete_one(request: JsonRequest, conversation_id: ConversationPath) -> None:
        """Delete it with all its messages, permanently; 409 while it is on hold."""
        user_id, its_id = require_user(request.user), ConversationId(conversation_id)
        await chatkeep.delete_conversation(
            user_id, its_id, expected=await read_expected(request, chatkeep, user_id, its_id)
        )

    return Router(
        "/conversations",
        tags=["conversations"],
        security=FOR_USERS,
        route_handlers=[
            create,
            get_or_create,
            list_route(chatkeep),
            get_one,
            change,
            delete_one,
        ],
    )


def _check_may_hold(caller: Caller, retain: bool | UnsetType) -> None:  # noqa: FBT001 - a field
    """Raise `IdentityError` if a user, not a service, asks to set or lift a hold."""
    if not (isinstance(retain, UnsetType) or caller.service):
        raise IdentityError(
            "Only a service key may set or lift a hold: leave out `retain`.",
            code="insufficient_scope",
            status=403,
        )


def _answer(conversation: Conversation, status: int = 200) -> Response[ConversationOut]:
    return JsonResponse(
        ConversationOut.from_domain(conversation),
        status_code=status,
        headers=etag(conversation.revision),
    )


def _describe_created(created: Created) -> CreatedConversation:
    out = CreatedConversation.from_domain(created.conversation)
    if created.messages:
        out.messages = [
            MessageOut.from_domain(message.without_original()) for message in created.messages
        ]
    return out
