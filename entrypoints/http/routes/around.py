"""Answers with the messages around one: the place that a search has found, or a time."""

from datetime import datetime
from typing import Any, Final

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
    middle: MessageId | datetime,
    *,
    limit: int,
    branch: BranchNumber | None,
    originals: bool,
    is_ui: bool,
) -> Response[MessagePage | UIMessagePage]:
    is_time = isinstance(middle, datetime)
    for name in (*_EXCLUDED, "around") if is_time else _EXCLUDED:
        if name in request.query_params:
            given = "around_time" if is_time else "around"
            raise InvalidValueError(name, f"cannot be combined with `{given}`")
    user_id, opening = require_user(request.user), chatkeep.opening
    options: Any = {"limit": limit, "branch": branch, "originals": originals or is_ui}
    if isinstance(middle, datetime):
        found = await opening.around_time(user_id, conversation_id, middle, **options)
    else:
        found = await opening.around(user_id, conversation_id, middle, **options)
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
