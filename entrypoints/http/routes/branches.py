"""/v1/conversations/{id}/branches: handlers parse, call one use case and convert."""

from litestar import Response, delete, get, patch, post
from litestar.params import FromQuery, JSONBody
from msgspec import UnsetType

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.ids import of_conversation, of_user, parse_id
from chatkeep.domain.model import UNSET, BranchNumber, ConversationId, JsonText, MessageId, Unset
from chatkeep.domain.use_cases import Chatkeep
from chatkeep.entrypoints.http import cursors
from chatkeep.entrypoints.http.auth.authentication import FOR_USERS, require_user
from chatkeep.entrypoints.http.body import JsonRequest
from chatkeep.entrypoints.http.branch_schemas import (
    BranchOut,
    BranchPage,
    ForkConversation,
    PatchBranch,
    SiblingOut,
    Siblings,
)
from chatkeep.entrypoints.http.conversation_schemas import ConversationOut
from chatkeep.entrypoints.http.json_documents import parse_metadata
from chatkeep.entrypoints.http.preconditions import (
    ETAG_HEADER,
    UNCHANGED,
    answer_read,
    read_expected,
)
from chatkeep.entrypoints.http.problems import etag, problems
from chatkeep.entrypoints.http.responses import JsonResponse
from chatkeep.entrypoints.http.router import Router
from chatkeep.entrypoints.http.routes.message_changes import MessagePath
from chatkeep.entrypoints.http.routes.parameters import BranchPath, ConversationPath, Cursor, Limit


def branch_routes(chatkeep: Chatkeep) -> Router:
    @get(
        "/branches",
        operation_id="listBranches",
        summary="List the branches",
        response_description="A page; on the last one `next_cursor` is null.",
        response_headers=[ETAG_HEADER],
        responses={**problems(404, 412), **UNCHANGED},
    )
    async def list_branches(
        request: JsonRequest,
        conversation_id: ConversationPath,
        limit: FromQuery[Limit] = 20,
        cursor: FromQuery[Cursor] = None,
    ) -> Response[BranchPage]:
        """All branches by number. A conversation that never branched has one, 0."""
        after = None if cursor is None else cursors.decode_branches(cursor)
        page = await chatkeep.branches.list(
            require_user(request.user), ConversationId(conversation_id), after=after, limit=limit
        )

        def make() -> BranchPage:
            return BranchPage(
                items=[BranchOut.from_domain(branch) for branch in page.items],
                next_cursor=None if page.next is None else cursors.encode_branches(page.next),
            )

        return answer_read(request, ConversationId(conversation_id), page.revision, make)

    @patch(
        "/branches/{number:int}",
        operation_id="changeBranch",
        summary="Rename a branch, or make it the current one",
        response_description="The branch.",
        response_headers=[ETAG_HEADER],
        responses=problems(404, 412, body=True),
    )
    async def change(
        request: JsonRequest,
        conversation_id: ConversationPath,
        number: BranchPath,
        data: JSONBody[PatchBranch],
    ) -> Response[BranchOut]:
        """Change its name, or make it the branch that appends continue and that contexts read."""
        if data.is_current is False:
            raise InvalidValueError("is_current", "can only be true; make another branch current")
        user_id, its_id = require_user(request.user), ConversationId(conversation_id)
        branch, revision = await chatkeep.branches.change(
            user_id,
            its_id,
            BranchNumber(number),
            name=data.name if isinstance(data.name, str | None) else UNSET,
            is_current=data.is_current is True,
            expected=await read_expected(request, chatkeep, user_id, its_id),
        )
        return JsonResponse(BranchOut.from_domain(branch), headers=etag(revision))

    @delete(
        "/branches/{number:int}",
        operation_id="deleteBranch",
        summary="Delete a branch",
        response_description="It is deleted.",
        response_headers=[ETAG_HEADER],
        responses=problems(404, 409, 412),
    )
    async def delete_branch(
        request: JsonRequest, conversation_id: ConversationPath, number: BranchPath
    ) -> Response[None]:
        """Delete it permanently, with the messages that no other branch shares.

        409 for the current branch, and while the conversation is on hold.
        """
        user_id, its_id = require_user(request.user), ConversationId(conversation_id)
        revision = await chatkeep.branches.delete(
            user_id,
            its_id,
            BranchNumber(number),
            expected=await read_expected(request, chatkeep, user_id, its_id),
        )
        return Response(None, status_code=204, headers=etag(revision))

    @get(
        "/messages/{message_id:str}/siblings",
        operation_id="listSiblings",
        summary="List the alternatives to a message",
        response_description="All of them, the message included.",
        responses=problems(404),
    )
    async def siblings(
        request: JsonRequest, conversation_id: ConversationPath, message_id: MessagePath
    ) -> Siblings:
        """Return all that continue from the same message: other answers, or edited questions."""
        found = await chatkeep.branches.siblings(
            require_user(request.user), ConversationId(conversation_id), MessageId(message_id)
        )
        return Siblings(items=[SiblingOut.from_domain(sibling) for sibling in found])

    @post(
        "/fork",
        operation_id="forkConversation",
        summary="Fork the conversation",
        response_description="The new conversation, by this request or by an earlier, equal one.",
        response_headers=[ETAG_HEADER],
        responses=problems(404, 409, body=True),
    )
    async def fork(
        request: JsonRequest, conversation_id: ConversationPath, data: JSONBody[ForkConversation]
    ) -> Response[ConversationOut]:
        """Copy a branch, or what is before and at a message, into a new conversation.

        The copies have other ids, except for text ids. The original does not change.
        """
        user_id, its_id = require_user(request.user), ConversationId(conversation_id)
        limits = chatkeep.limits
        metadata: JsonText | Unset = UNSET
        if not isinstance(data.metadata, UnsetType):
            metadata = parse_metadata(data.metadata, limits, may_be_null=False)
        at = None
        if not isinstance(data.at, UnsetType):
            at = of_conversation(its_id, parse_id(data.at, field="at"))
        created = await chatkeep.fork_conversation(
            user_id,
            its_id,
            conversation_id=None if data.id is None else of_user(user_id, parse_id(data.id)),
            title=UNSET if isinstance(data.title, UnsetType) else data.title,
            metadata=metadata,
            at=at,
            branch=None if isinstance(data.branch, UnsetType) else BranchNumber(data.branch),
        )
        answer = ConversationOut.from_domain(created.conversation)
        return JsonResponse(answer, headers=etag(created.conversation.revision))

    return Router(
        "/conversations/{conversation_id:str}",
        tags=["messages"],
        security=FOR_USERS,
        route_handlers=[list_branches, change, delete_branch, siblings, fork],
    )
