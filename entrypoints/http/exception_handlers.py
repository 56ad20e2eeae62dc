"""The one place where errors become responses."""

import logging
from http import HTTPStatus
from typing import Any, Final

from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.params import ParameterKwarg
from litestar.types import ExceptionHandlersMap

from chatkeep.domain.errors import ChatkeepError
from chatkeep.entrypoints.http.auth.identity import IdentityError
from chatkeep.entrypoints.http.domain_problems import domain_problem
from chatkeep.entrypoints.http.head import format_allow
from chatkeep.entrypoints.http.problems import (
    PROBLEM_JSON,
    FieldError,
    Problem,
    ProblemError,
    body_too_large,
    internal_error,
    invalid_fields,
)
from chatkeep.entrypoints.http.validation import explain_parameter_error, shorten

logger = logging.getLogger("chatkeep.http")

_MAX_HEADER: Final = 1_000
_AnyRequest = Request[Any, Any, Any]


def _respond(error: ProblemError) -> Response[Problem]:
    return Response(
        error.problem(),
        status_code=error.status,
        media_type=PROBLEM_JSON,
        headers={name: shorten(value, _MAX_HEADER) for name, value in error.headers.items()},
    )


def _handle_http(request: _AnyRequest, error: HTTPException) -> Response[Problem]:
    headers = dict(error.headers or {})
    match HTTPStatus(error.status_code):
        case HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            limit = request.route_handler.resolve_request_max_body_size() or 0
            announced = request.content_length or 0
            problem = body_too_large(limit, announced if announced > limit else None)
        case HTTPStatus.NOT_FOUND:
            problem = ProblemError(
                404,
                "not-found",
                "Unknown path. Percent-encode an id in a path; /docs lists every path.",
            )
        case HTTPStatus.METHOD_NOT_ALLOWED:
            headers["allow"] = format_allow(headers["allow"].split(", "))
            problem = ProblemError(
                405,
                "method-not-allowed",
                f"{request.method} is not allowed at this path, only {headers['allow']}.",
                headers=headers,
            )
        case status if status < HTTPStatus.INTERNAL_SERVER_ERROR:
            code = status.phrase.lower().replace(" ", "-")
            problem = ProblemError(status, code, f"{error.detail}.", headers=headers)
        case _:
            return _handle_unexpected(request, error)
    return _respond(problem)


def _name_on_the_wire(request: _AnyRequest, parameter: str) -> str:
    """Return the name that callers send: `from`, for example, cannot be a name in Python."""
    field = request.route_handler.parsed_fn_signature.parameters.get(parameter)
    known = field and field.kwarg_definition
    return (known.name if isinstance(known, ParameterKwarg) else None) or parameter


def _handle_parameters(request: _AnyRequest, error: ValidationException) -> Response[Problem]:
    if not isinstance(error.extra, list):
        return _respond(ProblemError(422, "invalid-value", error.detail))
    found = [
        explain_parameter_error(_name_on_the_wire(request, each["key"]), each["message"])
        for each in error.extra
    ]
    return _respond(
        invalid_fields([FieldError(field=field, detail=reason) for field, reason in found])
    )


def _handle_problem(_request: _AnyRequest, error: ProblemError) -> Response[Problem]:
    return _respond(error)


def _handle_identity(_request: _AnyRequest, error: IdentityError) -> Response[Problem]:
    headers = {}
    if error.status == HTTPStatus.UNAUTHORIZED:
        challenge = 'Bearer realm="chatkeep"'
        if error.code != "missing_credentials":
            challenge += f', error="{error.code}", error_description="{error.detail}"'
        headers["WWW-Authenticate"] = challenge
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    code = error.code.replace("_", "-")
    return _respond(ProblemError(error.status, code, error.detail, headers=headers))


def _handle_domain(request: _AnyRequest, error: ChatkeepError) -> Response[Problem]:
    problem = domain_problem(error)
    if problem.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return _handle_unexpected(request, error)
    return _respond(problem)


def _handle_unexpected(request: _AnyRequest, error: Exception) -> Response[Problem]:
    route = request.scope.get("path_template", "")
    logger.error("unexpected error in %s %s", request.method, route, exc_info=error)
    return _respond(internal_error())


EXCEPTION_HANDLERS: Final[ExceptionHandlersMap] = {
    HTTPException: _handle_http,
    ValidationException: _handle_parameters,
    ProblemError: _handle_problem,
    IdentityError: _handle_identity,
    ChatkeepError: _handle_domain,
    Exception: _handle_unexpected,
}
