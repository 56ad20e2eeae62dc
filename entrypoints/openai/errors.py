"""Errors of everything below /openai, in the shape that OpenAI's clients read.

The service's problem details are written in that shape here, so code that raises an error need not
know which API is in use.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final, cast

from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.types import ExceptionHandlersMap
from msgspec import UNSET

from chatkeep.domain.errors import ItemIdTakenError
from chatkeep.entrypoints.http.problems import TYPE_PREFIX, Problem
from chatkeep.entrypoints.http.validation import shorten
from chatkeep.entrypoints.openai.schemas import Error, ErrorDetail, format_id
from chatkeep.entrypoints.settings import variable

PREFIX: Final = "/openai"
# Clients repeat a request that is answered with one of these, unless a header forbids it.
_RETRIED: Final = frozenset({408, 409, 429})
_TYPES: Final = {
    401: "authentication_error",
    403: "permission_error",
    429: "rate_limit_error",
}
_CODES: Final = {"not-found": None, "invalid-token": "invalid_api_key"}

_AnyRequest = Request[Any, Any, Any]


def answer_like_openai(handlers: ExceptionHandlersMap) -> ExceptionHandlersMap:
    """Return the handlers so that below /openai they answer as OpenAI does."""
    return {kind: _wrap(cast("_Handler", each)) for kind, each in handlers.items()}


_Handler = Callable[[_AnyRequest, Any], Response[Problem]]


def _wrap(handler: _Handler) -> Callable[[_AnyRequest, Any], Response[Any]]:
    def handle(request: _AnyRequest, error: Exception) -> Response[Any]:
        response = handler(request, error)
        path = request.scope["path"]
        if path != PREFIX and not path.startswith(f"{PREFIX}/"):
            return response
        return _answer(request, error, response)

    return handle


def _answer(request: _AnyRequest, error: Exception, response: Response[Problem]) -> Response[Error]:
    problem = response.content
    status = problem.status
    message = problem.detail
    code = problem.type.removeprefix(TYPE_PREFIX)
    param = None if problem.errors is UNSET else problem.errors[0].field
    if status == HTTPStatus.UNPROCESSABLE_ENTITY or isinstance(error, ItemIdTakenError):
        status = HTTPStatus.BAD_REQUEST
    elif status == HTTPStatus.NOT_FOUND and isinstance(error, HTTPException):
        message = f"Invalid URL ({request.method} {shorten(request.scope['path'])})"
    elif status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        message = message.replace(variable("max_body_bytes"), variable("openai_max_body_bytes"))
    elif (conversation_id := getattr(error, "conversation_id", None)) is not None:
        message = message.replace(f" {conversation_id}", f" {format_id(conversation_id)}")
    headers = dict(response.headers)
    if status in _RETRIED and "Retry-After" not in headers:
        headers["x-should-retry"] = "false"
    detail = ErrorDetail(
        message=message,
        type=_TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error"),  # noqa: PLR2004 - 5xx
        param=param,
        code=_CODES.get(code, code.replace("-", "_")),
    )
    return Response(
        Error(error=detail),
        status_code=status,
        media_type="application/json",
        headers=headers,
    )
