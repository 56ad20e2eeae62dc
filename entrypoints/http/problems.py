"""Every error as RFC 9457 problem details: the one place where errors become answers."""

import logging
import re
from http import HTTPStatus
from typing import Annotated, Any, Final

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.openapi.datastructures import ResponseSpec
from litestar.types import ExceptionHandlersMap
from msgspec import UNSET, Meta, UnsetType

from domain.errors import (
    ChatkeepError,
    ConflictError,
    InvalidValueError,
    LimitExceededError,
    NotFoundError,
    StoreUnavailableError,
    UserNotProvisionedError,
)
from entrypoints.http.identity import IdentityError
from entrypoints.settings import variable

logger = logging.getLogger("chatkeep.http")

PROBLEM_JSON: Final = "application/problem+json"
TYPE_PREFIX: Final = "urn:chatkeep:problem:"


class FieldError(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What is wrong with one field; for a limit also its size and the setting that raises it."""

    field: str
    detail: str
    limit: int | UnsetType = UNSET
    actual: int | UnsetType = UNSET
    setting: str | UnsetType = UNSET


class Problem(msgspec.Struct, kw_only=True):
    """Problem details (RFC 9457). `type` tells kinds apart, `detail` says what to do."""

    type: Annotated[str, Meta(examples=[f"{TYPE_PREFIX}not-found"])]
    title: str
    status: int
    detail: str
    errors: list[FieldError] | UnsetType = UNSET


class ProblemError(Exception):
    """A problem of HTTP itself. `headers` go with the answer."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: list[FieldError] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = errors
        self.headers = headers or {}


_AnyRequest = Request[Any, Any, Any]


def _answer(error: ProblemError) -> Response[Problem]:
    return Response(
        Problem(
            type=TYPE_PREFIX + error.code,
            title=HTTPStatus(error.status).phrase,
            status=error.status,
            detail=error.detail,
            errors=error.errors or UNSET,
        ),
        status_code=error.status,
        media_type=PROBLEM_JSON,
        headers=error.headers,
    )


_EXPECTED: Final = re.compile(r"(?: - at `(?P<path>[^`]*)`)?$")
_NAMED: Final = re.compile(r"(?:missing required|contains unknown) field `(?P<name>.*)`$")


def invalid(error: msgspec.ValidationError) -> ProblemError:
    """Return msgspec's complaint about a body, with its path as the field's name."""
    text = str(error)
    found = _EXPECTED.search(text)
    path = (found["path"] if found else None) or "$"
    reason = text[: found.start()] if found else text
    field = path.removeprefix("$").removeprefix(".")
    if named := _NAMED.search(reason):
        field = f"{field}.{named['name']}" if field else named["name"]
    return _invalid_fields([FieldError(field=field or "body", detail=reason)])


def _invalid_fields(errors: list[FieldError]) -> ProblemError:
    detail = "; ".join(f"{error.field}: {error.detail}" for error in errors)
    return ProblemError(422, "invalid-value", detail, errors=errors)


def _http(_request: _AnyRequest, error: HTTPException) -> Response[Problem]:
    if isinstance(error, ValidationException):
        extra = error.extra if isinstance(error.extra, list) else []
        fields = [FieldError(field=_field(each), detail=_reason(each)) for each in extra]
        if fields:
            return _answer(_invalid_fields(fields))
        return _answer(ProblemError(422, "invalid-value", error.detail))
    status = HTTPStatus(error.status_code)
    code = status.phrase.lower().replace(" ", "-")
    if status is HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return _answer(
            ProblemError(
                413,
                "body-too-large",
                "The body is larger than this service takes; send less at once, or raise "
                "CHATKEEP_MAX_BODY_BYTES.",
            )
        )
    return _answer(
        ProblemError(error.status_code, code, error.detail, headers=dict(error.headers or {}))
    )


def _field(each: dict[str, Any]) -> str:
    key = str(each.get("key", "data"))
    return "body" if key == "data" else key


def _reason(each: dict[str, Any]) -> str:
    message = str(each.get("message", ""))
    # Litestar says of a missing value nothing but its name.
    return "is missing" if message == f"'{each.get('key')}'" else message


def _problem(_request: _AnyRequest, error: ProblemError) -> Response[Problem]:
    return _answer(error)


def _identity(_request: _AnyRequest, error: IdentityError) -> Response[Problem]:
    headers = {}
    if error.status == HTTPStatus.UNAUTHORIZED:
        challenge = 'Bearer realm="chatkeep"'
        if error.code != "missing_credentials":
            challenge += f', error="{error.code}", error_description="{error.detail}"'
        headers["WWW-Authenticate"] = challenge
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    code = error.code.replace("_", "-")
    return _answer(ProblemError(error.status, code, error.detail, headers=headers))


def _domain(request: _AnyRequest, error: ChatkeepError) -> Response[Problem]:
    match error:
        case NotFoundError():
            problem = ProblemError(404, "not-found", str(error))
        case ConflictError():
            problem = ProblemError(409, "id-taken", str(error))
        case UserNotProvisionedError():
            problem = ProblemError(403, "user-not-provisioned", str(error))
        case InvalidValueError():
            problem = _invalid_fields([FieldError(field=error.field, detail=error.reason)])
        case LimitExceededError():
            problem = _limit(error)
        case StoreUnavailableError():
            problem = ProblemError(
                503,
                "database-unavailable",
                error.reason,
                headers={"Retry-After": str(error.retry_after)},
            )
        case _:
            return _unexpected(request, error)
    return _answer(problem)


def _limit(error: LimitExceededError) -> ProblemError:
    setting = variable(error.limit_name)
    field = FieldError(
        field=error.field,
        detail=f"has {error.actual} {error.unit}; the limit is {error.limit} ({setting})",
        limit=error.limit,
        actual=error.actual,
        setting=setting,
    )
    return ProblemError(422, "limit-exceeded", f"{field.field}: {field.detail}", errors=[field])


def _unexpected(request: _AnyRequest, error: Exception) -> Response[Problem]:
    route = request.scope.get("path_template", "")
    logger.error("unexpected error in %s %s", request.method, route, exc_info=error)
    return _answer(
        ProblemError(500, "internal", "Something went wrong here; the operator's log says what.")
    )


EXCEPTION_HANDLERS: Final[ExceptionHandlersMap] = {
    HTTPException: _http,
    ProblemError: _problem,
    IdentityError: _identity,
    ChatkeepError: _domain,
    Exception: _unexpected,
}

_DESCRIPTIONS: Final = {
    400: "The request is malformed.",
    401: "No valid token or service key.",
    403: "The caller may not do this.",
    404: "There is none, or it is somebody else's: the two look the same.",
    409: "The id is in use for something else.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "A value is wrong or over a limit; `errors` names the field.",
    503: "The database cannot be reached now; `Retry-After` says when to try again.",
}
_EVERYWHERE: Final = (400, 401, 403, 422, 503)
_OF_BODIES: Final = (413, 415)


def problems(*statuses: int, body: bool = False) -> dict[int, ResponseSpec]:
    """Return what a route's OpenAPI says of its errors: `statuses` and those any route may give."""
    return {
        status: ResponseSpec(
            Problem,
            description=_DESCRIPTIONS[status],
            generate_examples=False,
            media_type=PROBLEM_JSON,
        )
        for status in sorted({*statuses, *_EVERYWHERE, *(_OF_BODIES if body else ())})
    }
