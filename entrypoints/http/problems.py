"""The one place where errors become responses: problem details (RFC 9457)."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any, Final

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import ParameterKwarg
from litestar.types import ExceptionHandlersMap
from msgspec import UNSET, Meta, UnsetType

from chatkeep.domain.draft_errors import (
    DraftActiveError,
    DraftEndedError,
    DraftError,
    DraftGapError,
    DraftIdTakenError,
    DraftSupersededError,
)
from chatkeep.domain.errors import (
    BranchIsCurrentError,
    ChangesForgottenError,
    ChatkeepError,
    ConflictError,
    DatabaseRuleError,
    InvalidValueError,
    LimitExceededError,
    NotFoundError,
    OtherBranchError,
    RetainedError,
    RevisionConflictError,
    SharedByBranchesError,
    StoreUnavailableError,
    SuffixDiffersError,
    UserNotProvisionedError,
    UserRetainedError,
)
from chatkeep.entrypoints.http.auth.identity import IdentityError
from chatkeep.entrypoints.http.head import format_allow
from chatkeep.entrypoints.http.validation import (
    explain_body_error,
    explain_parameter_error,
    shorten,
)
from chatkeep.entrypoints.settings import variable

logger = logging.getLogger("chatkeep.http")

PROBLEM_JSON: Final = "application/problem+json"
TYPE_PREFIX: Final = "urn:chatkeep:problem:"
MAX_FIELDS: Final = 10
"""The most fields that a response names: a longer list would not help the caller."""

# In characters. They bound a response that repeats what the caller sent.
_MAX_FIELD_DETAIL: Final = 300
_MAX_DETAIL: Final = 1_000
_MAX_HEADER: Final = 1_000


class FieldError(msgspec.Struct, kw_only=True, omit_defaults=True):
    """An error in one field. For a limit also the limit, the actual size and the setting."""

    field: str
    detail: str
    limit: int | UnsetType = UNSET
    actual: int | UnsetType = UNSET
    setting: str | UnsetType = UNSET


class DraftState(msgspec.Struct, kw_only=True, omit_defaults=True):
    """As much of a draft as a conflict is about."""

    id: str
    status: str | UnsetType = UNSET
    epoch: int | UnsetType = UNSET
    next: Annotated[int, Meta(description="the number of its next chunk")] | UnsetType = UNSET


class Problem(msgspec.Struct, kw_only=True):
    """Problem details (RFC 9457). `type` identifies the kind, `detail` says what to do."""

    type: Annotated[str, Meta(description="a URN whose last part is the kind of problem")]
    title: Annotated[str, Meta(description="the kind of problem in words")]
    status: Annotated[int, Meta(description="the HTTP status of the response")]
    detail: Annotated[str, Meta(description="what is wrong, and how to fix it")]
    errors: Annotated[
        list[FieldError] | UnsetType, Meta(description="the wrong fields or parameters")
    ] = UNSET
    found: Annotated[
        list[str] | UnsetType,
        Meta(description="the ids of the messages that are there in place of the expected ones"),
    ] = UNSET
    revision: Annotated[
        int | UnsetType, Meta(description="the revision that the conversation has now")
    ] = UNSET
    draft: Annotated[DraftState, Meta(description="the draft as it is")] | UnsetType = UNSET


class ProblemError(Exception):
    """A problem of the kind `code`. `headers` are sent with the response.

    `revision` is the current one of the conversation, if another one was expected.
    """

    def __init__(  # noqa: PLR0913 - one for each part of an answer
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: list[FieldError] | None = None,
        headers: dict[str, str] | None = None,
        found: list[str] | None = None,
        revision: int | None = None,
        draft: DraftState | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = errors
        self.headers = headers or {}
        self.found = found
        self.revision = revision
        self.draft = draft

    def problem(self) -> Problem:
        return Problem(
            type=TYPE_PREFIX + self.code,
            title=self.code.replace("-", " ").capitalize(),
            status=self.status,
            detail=self.detail if self.errors else shorten(self.detail, _MAX_DETAIL),
            errors=self.errors or UNSET,
            found=UNSET if self.found is None else self.found,
            revision=UNSET if self.revision is None else self.revision,
            draft=UNSET if self.draft is None else self.draft,
        )


def etag(revision: int) -> dict[str, str]:
    """Return the header with the revision of a conversation."""
    return {"ETag": f'"{revision}"'}


_AnyRequest = Request[Any, Any, Any]


def _respond(error: ProblemError) -> Response[Problem]:
    return Response(
        error.problem(),
        status_code=error.status,
        media_type=PROBLEM_JSON,
        headers={name: shorten(value, _MAX_HEADER) for name, value in error.headers.items()},
    )


def invalid(error: msgspec.ValidationError) -> ProblemError:
    """Return the problem that msgspec found in a body, with its path as the field's name."""
    field, reason = explain_body_error(error)
    return invalid_fields([FieldError(field=field, detail=reason)])


def invalid_fields(errors: list[FieldError]) -> ProblemError:
    """Return the problem of invalid fields. It names the first `MAX_FIELDS` of them."""
    shown = [
        FieldError(field=shorten(error.field), detail=shorten(error.detail, _MAX_FIELD_DETAIL))
        for error in errors[:MAX_FIELDS]
    ]
    sentences = [f"{error.field}: {error.detail}" for error in shown]
    if more := len(errors) - len(shown):
        sentences.append(f"and {more} more")
    return ProblemError(422, "invalid-value", "; ".join(sentences), errors=shown)


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


_CONFLICTS: Final[Mapping[type[ConflictError], str]] = {
    RetainedError: "retained",
    UserRetainedError: "retained",
    BranchIsCurrentError: "wrong-branch",
    OtherBranchError: "wrong-branch",
    SharedByBranchesError: "wrong-branch",
}
"""The codes of conflicts that are not about an id."""

_REFUSALS: Final[Mapping[type[ChatkeepError], tuple[int, str]]] = {
    ChangesForgottenError: (410, "changes-forgotten"),
    DatabaseRuleError: (403, "refused-by-database"),
    UserNotProvisionedError: (403, "user-not-provisioned"),
}
"""The status and the code of errors that say what to do in their own words."""


def domain_problem(error: ChatkeepError) -> ProblemError:
    """Return the problem that a caller gets for an error of the domain."""
    match error:
        case NotFoundError():
            problem = ProblemError(404, "not-found", str(error))
        case SuffixDiffersError():
            found = [str(each) for each in error.found]
            problem = ProblemError(409, "suffix-differs", str(error), found=found)
        case RevisionConflictError():
            problem = ProblemError(
                412,
                "revision-conflict",
                str(error),
                headers=etag(error.current),
                revision=error.current,
            )
        case DraftError():
            code, state = _draft_conflict(error)
            problem = ProblemError(409, code, str(error), draft=state)
        case ConflictError():
            problem = ProblemError(409, _CONFLICTS.get(type(error), "id-taken"), str(error))
        case DatabaseRuleError() | UserNotProvisionedError() | ChangesForgottenError():
            status, code = _REFUSALS[type(error)]
            problem = ProblemError(status, code, str(error))
        case InvalidValueError():
            problem = invalid_fields([FieldError(field=error.field, detail=error.reason)])
        case LimitExceededError():
            # A request for a page has no size yet: its `limit` is too large.
            has = "asks for" if error.limit_name == "max_page" else "has"
            size = f"more than {error.limit}" if error.actual is None else error.actual
            field = FieldError(
                field=error.field,
                detail=f"{has} {size} {error.unit}",
                limit=error.limit,
                actual=UNSET if error.actual is None else error.actual,
                setting=variable(error.limit_name),
            )
            problem = _over_limit(422, "limit-exceeded", field)
        case StoreUnavailableError():
            headers = {"Retry-After": str(error.retry_after)}
            problem = ProblemError(503, "database-unavailable", error.reason, headers=headers)
        case _:
            problem = internal_error()
    return problem


def _draft_conflict(error: DraftError) -> tuple[str, DraftState]:
    """Return the code of a conflict, and the draft as far as the error knows it."""
    state = DraftState(id=str(error.draft_id))
    match error:
        case DraftActiveError():
            state.status, state.epoch, state.next = "active", error.epoch, error.next_chunk
            return "draft-active", state
        case DraftSupersededError():
            state.epoch = error.epoch
            return "draft-superseded", state
        case DraftEndedError():
            state.status = error.status
            return "draft-ended", state
        case DraftGapError():
            state.next = error.expected
            return "draft-gap", state
    return "id-taken" if isinstance(error, DraftIdTakenError) else "draft-ended", state


def body_too_large(limit: int, actual: int | None) -> ProblemError:
    """Return the problem of a body of `actual` bytes, or None bytes if it came without a length."""
    field = FieldError(
        field="body",
        detail=f"has {f'more than {limit}' if actual is None else actual} bytes",
        limit=limit,
        actual=UNSET if actual is None else actual,
        setting=variable("max_body_bytes"),
    )
    return _over_limit(413, "body-too-large", field)


def _over_limit(status: int, code: str, field: FieldError) -> ProblemError:
    field.detail += f"; the limit is {field.limit}, set by {field.setting}"
    return ProblemError(status, code, f"{field.field}: {field.detail}", errors=[field])


def too_many(
    detail: str, *, retry_after: int, headers: dict[str, str] | None = None
) -> ProblemError:
    """Return the problem of a user who exceeds their share."""
    return ProblemError(
        429,
        "too-many-requests",
        detail,
        headers={"Retry-After": str(retry_after), **(headers or {})},
    )


def overloaded(detail: str) -> ProblemError:
    """Return the problem of a process that has reached its own limits."""
    return ProblemError(503, "overloaded", detail, headers={"Retry-After": "1"})


def _handle_unexpected(request: _AnyRequest, error: Exception) -> Response[Problem]:
    route = request.scope.get("path_template", "")
    logger.error("unexpected error in %s %s", request.method, route, exc_info=error)
    return _respond(internal_error())


def internal_error() -> ProblemError:
    detail = "An unexpected error occurred; the operator's log has the details."
    return ProblemError(500, "internal-error", detail)


EXCEPTION_HANDLERS: Final[ExceptionHandlersMap] = {
    HTTPException: _handle_http,
    ValidationException: _handle_parameters,
    ProblemError: _handle_problem,
    IdentityError: _handle_identity,
    ChatkeepError: _handle_domain,
    Exception: _handle_unexpected,
}

# Any route may return these; `openapi` describes them.
_EVERYWHERE: Final = (400, 401, 403, 422, 429, 500, 503)
_WITH_BODY: Final = (408, 413, 415)


def problems(*statuses: int, body: bool = False) -> dict[int, ResponseSpec]:
    """Return a route's errors for OpenAPI: `statuses` and those that any route may return."""
    return {
        status: ResponseSpec(Problem, generate_examples=False, media_type=PROBLEM_JSON)
        for status in sorted({*statuses, *_EVERYWHERE, *(_WITH_BODY if body else ())})
    }
