"""/v1/conversations/{id}/messages and /context: handlers parse, call one use case and convert."""

from datetime import datetime
from typing import Annotated, Final

from litestar import Response, get, post
from litestar.datastructures import ResponseHeader
from litestar.params import FromQuery, JSONBody, Parameter
from msgspec import UNSET

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.formats.table import Format
from chatkeep.domain.history import HistoryPage
from chatkeep.domain.log import Bounds
from chatkeep.domain.message_use_cases import AppendResult
from chatkeep.domain.model import BranchNumber, ConversationId, MessageId, Order
from chatkeep.domain.use_cases import Chatkeep
from chatkeep.entrypoints.http import cursors
from chatkeep.entrypoints.http.auth.authentication import FOR_USERS, require_user
from chatkeep.entrypoints.http.body import JsonRequest
from chatkeep.entrypoints.http.cursors import BranchCursor, MessagesCursor
from chatkeep.entrypoints.http.idempotency import read_key
from chatkeep.entrypoints.http.ids import message_in_query
from chatkeep.entrypoints.http.message_schemas import (
    Append,
    Appended,
    MessageOut,
    MessagePage,
    UIMessagePage,
    on_branch,
)
from chatkeep.entrypoints.http.metrics.request_metrics import Metrics
from chatkeep.entrypoints.http.model_formats import (
    ModelContext,
    UIMessageOut,
    context_answer,
    ui_messages_answer,
)
from chatkeep.entrypoints.http.preconditions import (
    ETAG_HEADER,
    UNCHANGED,
    answer_read,
    read_expected,
)
from chatkeep.entrypoints.http.problems import etag, problems
from chatkeep.entrypoints.http.responses import JsonResponse
from chatkeep.entrypoints.http.router import Router
from chatkeep.entrypoints.http.routes.around import answer_around
from chatkeep.entrypoints.http.routes.message_changes import MessagePath, message_changes
from chatkeep.entrypoints.http.routes.parameters import (
    MAX_INTEGER,
    TIME,
    BranchOf,
    ConversationPath,
    Cursor,
    HistoryBranch,
    Limit,
    parse_time,
    read_branch,
)
from chatkeep.entrypoints.http.routing import TEXTS

WARNING_HEADER: Final = "Chatkeep-Warning"


MaxChars = Annotated[
    int | None,
    Parameter(
        ge=1,
        le=MAX_INTEGER,
        description="at most this many characters in total; drops the oldest messages",
    ),
]
Originals = Annotated[
    bool, Parameter(description="also return each message's `original`, if it has one")
]
MaxTokens = Annotated[
    int | None,
    Parameter(
        ge=1,
        le=MAX_INTEGER,
        description="at most this many tokens in total, estimated where a message has no `tokens`; "
        "drops the oldest messages",
    ),
]
FormatOf = Annotated[
    Format,
    Parameter(
        description="which model API the messages are for (default: openai); "
        "ai-sdk: as UIMessages, for a page or `convertToModelMessages`"
    ),
]
AroundTime = Annotated[
    str | None,
    Parameter(
        description="those around the first one that is not before this time; "
        "the last ones if all are",
        schema_extra=TIME,
    ),
]
MessageFormat = Annotated[
    str | None,
    Parameter(
        description="ai-sdk: as UIMessages, for a page that uses `useChat`",
        schema_extra={"enum": [Format.AI_SDK.value]},
    ),
]


def message_routes(chatkeep: Chatkeep, metrics: Metrics) -> Router:
    @post(
        "/messages",
        operation_id="appendMessages",
        summary="Append messages",
        response_description="They are stored, by this request or by an earlier, equal one.",
        responses=problems(404, 409, 412, body=True),
        response_headers=[
            ETAG_HEADER,
            ResponseHeader(
                name=WARNING_HEADER,
                value="",
                description="the conversation is longer than recommended",
                documentation_only=True,
            ),
        ],
    )
    async def append(
        request: JsonRequest,
        conversation_id: ConversationPath,
        data: JSONBody[Append],
        context: FromQuery[
            Annotated[
                int | None,
                Parameter(
                    ge=1,
                    le=MAX_INTEGER,
                    description="also return a context of this many messages",
                ),
            ]
        ] = None,
        max_chars: FromQuery[MaxChars] = None,
        max_tokens: FromQuery[MaxTokens] = None,
        format: FromQuery[FormatOf] = Format.OPENAI,  # noqa: A002 - the word on the wire
        branch: FromQuery[BranchOf] = None,
    ) -> Response[Appended]:
        """Append one message, or several in order with `{"messages": [...]}`, all or none.

        If you choose a message's `id`, it is safe to send the message again: the answer is what is
        stored, or 409 if that differs. One such id makes a whole batch safe to send again, and so
        does an `Idempotency-Key`: then the answer has those messages that are left.
        With `context` the answer includes what to hand to the model next: a chat turn is two calls.
        With `after` or `branch`, another branch becomes the current one, or a new one starts: see
        docs/branches.md.
        """
        user_id, its_id = require_user(request.user), ConversationId(conversation_id)
        result = await chatkeep.append(
            user_id,
            its_id,
            await request.convert(lambda: data.to_domain(chatkeep.limits)),
            key=await read_key(request),
            expected=await read_expected(request, chatkeep, user_id, its_id),
            context_limit=context,
            max_chars=max_chars,
            max_tokens=max_tokens,
            for_model=format is not Format.AI_SDK,
            place=data.place(its_id, branch, chatkeep.limits),
        )
        metrics.record_append(len(result.messages), over_soft_limit=result.over_soft_limit)
        return JsonResponse(
            Appended(
                messages=[
                    MessageOut.from_domain(message.without_original())
                    for message in result.messages
                ],
                branch=UNSET if result.branch is None else result.branch,
                context=UNSET if result.context is None else context_answer(result.context, format),
            ),
            headers={
                **etag(result.revision),
                **_make_warning(result, chatkeep.limits.soft_max_conversation_messages),
            },
        )

    @get(
        "/messages",
        operation_id="getHistory",
        summary="Page through the messages",
        response_description="A page; on the last one `next_cursor` is null.",
        response_headers=[ETAG_HEADER],
        responses={**problems(404, 412), **UNCHANGED},
        opt={TEXTS: ("after", "before", "around")},
    )
    async def history(
        request: JsonRequest,
        conversation_id: ConversationPath,
        limit: FromQuery[Limit] = 20,
        order: FromQuery[
            Annotated[Order | None, Parameter(description="asc (default): oldest first")]
        ] = None,
        cursor: FromQuery[Cursor] = None,
        after: FromQuery[  # noqa: ARG001 - read from the query
            Annotated[str | None, Parameter(description="only those after the one with this id")]
        ] = None,
        before: FromQuery[  # noqa: ARG001 - read from the query
            Annotated[str | None, Parameter(description="only those before the one with this id")]
        ] = None,
        around: FromQuery[  # noqa: ARG001 - read from the query
            Annotated[
                str | None,
                Parameter(
                    description="those around the message, or the item, with this id, half of "
                    "them before it"
                ),
            ]
        ] = None,
        around_time: FromQuery[AroundTime] = None,
        originals: FromQuery[Originals] = False,  # noqa: FBT002 - a query parameter
        format: FromQuery[MessageFormat] = None,  # noqa: A002 - the word on the wire
        branch: FromQuery[HistoryBranch] = None,
    ) -> Response[MessagePage | UIMessagePage]:
        """All messages in pages, oldest first, or latest first with `order=desc`.

        Send `after` and `before` with the first request only; the cursor remembers them, but not
        `originals`. A page of large messages ends early, at 16 MiB unless configured otherwise.
        With `around` or `around_time`, `next_cursor` leads to later messages and `previous_cursor`
        to earlier ones, latest first. Without `branch` it is the current branch; `around` a message
        that this does not have, the one that wrote it.
        """
        is_ui = _is_ui(format)
        middle: MessageId | datetime | None = parse_time("around_time", around_time)
        middle = middle or message_in_query(request, "around", conversation_id)
        if middle is not None:
            return await answer_around(
                request,
                chatkeep,
                ConversationId(conversation_id),
                middle,
                limit=limit,
                branch=read_branch(branch),
                originals=originals,
                is_ui=is_ui,
            )
        bounds = Bounds(
            after_message=message_in_query(request, "after", conversation_id),
            before_message=message_in_query(request, "before", conversation_id),
        )
        if cursor is not None:
            start = cursors.decode_messages(cursor)
            cursors.check_agrees("order", order, start.order)
            number = start.branch if isinstance(start, BranchCursor) else None
            cursors.check_agrees("branch", read_branch(branch), number)
            order, until = start.order, start.until
            bounds = start.bounds(ConversationId(conversation_id))
        else:
            number = read_branch(branch)
            order = order or Order.ASC
            last = bounds.before_message if order is Order.ASC else bounds.after_message
            until = None if last is None else str(last)
        its_id = ConversationId(conversation_id)
        page = await chatkeep.history(
            require_user(request.user),
            its_id,
            None if number is None else BranchNumber(number),
            bounds=bounds,
            order=order,
            limit=limit,
            originals=originals or is_ui,
        )

        return answer_read(
            request, its_id, page.revision, lambda: _write(page, number, order, until, is_ui=is_ui)
        )

    @get(
        "/context",
        operation_id="getContext",
        summary="Get what to hand to the model",
        response_description="Messages in the chosen `format`.",
        response_headers=[ETAG_HEADER],
        responses={**problems(404, 412), **UNCHANGED},
    )
    async def context(
        request: JsonRequest,
        conversation_id: ConversationPath,
        limit: FromQuery[Limit] = 20,
        max_chars: FromQuery[MaxChars] = None,
        max_tokens: FromQuery[MaxTokens] = None,
        format: FromQuery[FormatOf] = Format.OPENAI,  # noqa: A002 - the word on the wire
        branch: FromQuery[BranchOf] = None,
    ) -> Response[ModelContext]:
        """Return the last `limit` messages, oldest first, as a valid request to a model.

        The system and developer messages that open the conversation always come first. Tool calls
        and their results come in pairs or not at all. The latest message with `starts_context`
        replaces what came before it; then the answer has `starts_at` and `replaced`.
        """
        its_id = ConversationId(conversation_id)
        found = await chatkeep.context(
            require_user(request.user),
            its_id,
            limit=limit,
            max_chars=max_chars,
            max_tokens=max_tokens,
            for_model=format is not Format.AI_SDK,
            branch=None if branch is None else BranchNumber(branch),
        )
        return answer_read(request, its_id, found.revision, lambda: context_answer(found, format))

    @get(
        "/messages/{message_id:str}",
        operation_id="getMessage",
        summary="Get a message",
        response_description="The message.",
        responses=problems(404),
    )
    async def get_one(
        request: JsonRequest,
        conversation_id: ConversationPath,
        message_id: MessagePath,
        originals: FromQuery[Originals] = False,  # noqa: FBT002 - a query parameter
        format: FromQuery[MessageFormat] = None,  # noqa: A002 - the word on the wire
    ) -> MessageOut | UIMessageOut:
        """One message of the conversation."""
        is_ui = _is_ui(format)
        message = await chatkeep.get_message(
            require_user(request.user),
            ConversationId(conversation_id),
            MessageId(message_id),
            original=originals or is_ui,
        )
        if is_ui:
            [answer] = ui_messages_answer([message])
            return answer
        return MessageOut.from_domain(message)

    return Router(
        "/conversations/{conversation_id:str}",
        tags=["messages"],
        security=FOR_USERS,
        route_handlers=[append, history, context, get_one, *message_changes(chatkeep, metrics)],
    )


def _is_ui(form: str | None) -> bool:
    """Return whether messages are requested as UIMessages, the only other format."""
    if form not in {None, Format.AI_SDK}:
        raise InvalidValueError("format", f"must be {Format.AI_SDK.value}")
    return form is not None


def _write(
    page: HistoryPage, branch: int | None, order: Order, until: str | None, *, is_ui: bool
) -> MessagePage | UIMessagePage:
    cursor = None
    if page.next is not None and branch is None:
        cursor = cursors.encode(MessagesCursor(order, page.next, until))
    elif page.next is not None and branch is not None:
        cursor = cursors.encode(BranchCursor(branch, order, page.next, until))
    if is_ui:
        return UIMessagePage(items=ui_messages_answer(page.items, order), next_cursor=cursor)
    if page.on_branch is not None:
        return MessagePage(items=[*map(on_branch, page.on_branch)], next_cursor=cursor)
    return MessagePage(items=[*map(MessageOut.from_domain, page.items)], next_cursor=cursor)


def _make_warning(result: AppendResult, soft_limit: int) -> dict[str, str]:
    if not result.over_soft_limit:
        return {}
    return {
        WARNING_HEADER: f"the conversation has {result.message_count} messages; "
        f"at most {soft_limit} are recommended (CHATKEEP_SOFT_MAX_CONVERSATION_MESSAGES)"
    }
