"""Answers with the messages around one: the place that a search has found."""

from typing import Final

from litestar import Response

from chatkeep.domain.around import MessagesAround
from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.model import BranchNumber, ConversationId, MessageId, Order, Position
from chatkeep.domain.use_cases import Chatkeep
from chatkeep.entrypoints.http import cursors
from chatkeep.entrypoints.http.auth.authentication import require_user
from chatkeep.entrypoints.http.body import JsonRequest
from chatkeep.entrypoints.http.cursors import BranchCursor, MessagesCursor
from chatkeep.entrypoints.http.message_schemas import (
    MessageOut,
    MessagePage,
    UIMessagePage,
    on_branch,
)
from chatkeep.entrypoints.http.model_formats import ui_messages_answer
from chatkeep.entrypoints.http.preconditions import answer_read

_EXCLUDED: Final = ("cursor", "order", "after", "before")


async def answer_around(  # noqa: PLR0913 - the parameters of the query
    request: JsonRequest,
    chatkeep: Chatkeep,
    conversation_id: ConversationId,
    message_id: MessageId,
    *,
    limit: int,
    branch: BranchNumber | None,
    originals: bool,
    is_ui: bool,
) -> Response[MessagePage | UIMessagePage]:
    for name in _EXCLUDED:
        if name in request.query_params:
            raise InvalidValueError(name, "cannot be combined with `around`")
    found = await chatkeep.opening.around(
        require_user(request.user),
        conversation_id,
        message_id,
        limit=limit,
        branch=branch,
        originals=originals or is_ui,
    )
    return answer_read(request, conversation_id, found.revision, lambda: _write(found, is_ui=is_ui))


def _write(found: MessagesAround, *, is_ui: bool) -> MessagePage | UIMessagePage:
    next_cursor = _cursor(found.branch, Order.ASC, found.after)
    previous_cursor = _cursor(found.branch, Order.DESC, found.before)
    if is_ui:
        return UIMessagePage(
            items=ui_messages_answer([each.message for each in found.items], Order.ASC),
            next_cursor=next_cursor,
            previous_cursor=previous_cursor,
        )
    return MessagePage(
        items=[
            MessageOut.from_domain(each.message) if found.branch is None else on_branch(each)
            for each in found.items
        ],
        next_cursor=next_cursor,
        previous_cursor=previous_cursor,
    )


def _cursor(branch: BranchNumber | None, order: Order, position: Position | None) -> str | None:
    if position is None:
        return None
    if branch is None:
        return cursors.encode(MessagesCursor(order, position, None))
    return cursors.encode(BranchCursor(branch, order, position))
