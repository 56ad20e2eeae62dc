"""Problem details (RFC 9457): the answer to every error."""

from typing import Annotated, Final

import msgspec
from litestar.openapi.datastructures import ResponseSpec
from msgspec import UNSET, Meta, UnsetType

from chatkeep.entrypoints.http.validation import explain_body_error, shorten
from chatkeep.entrypoints.settings import variable

PROBLEM_JSON: Final = "application/problem+json"
TYPE_PREFIX: Final = "urn:chatkeep:problem:"
MAX_FIELDS: Final = 10
"""The most fields that a response names: a longer list would not help the caller."""

# In characters. They bound a response that repeats what the caller sent.
MAX_FIELD_DETAIL: Final = 300
_MAX_DETAIL: Final = 1_000


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


def invalid(error: msgspec.ValidationError) -> ProblemError:
    """Return the problem that msgspec found in a body, with its path as the field's name."""
    field, reason = explain_body_error(error)
    return invalid_fields([FieldError(field=field, detail=reason)])


def invalid_fields(errors: list[FieldError]) -> ProblemError:
    """Return the problem of invalid fields. It names the first `MAX_FIELDS` of them."""
    shown = [
        FieldError(field=shorten(error.field), detail=shorten(error.detail, MAX_FIELD_DETAIL))
        for error in errors[:MAX_FIELDS]
    ]
    sentences = [f"{error.field}: {error.detail}" for error in shown]
    if more := len(errors) - len(shown):
        sentences.append(f"and {more} more")
    return ProblemError(422, "invalid-value", "; ".join(sentences), errors=shown)


def body_too_large(limit: int, actual: int | None) -> ProblemError:
    """Return the problem of a body of `actual` bytes, or None bytes if it came without a length."""
    field = FieldError(
        field="body",
        detail=f"has {f'more than {limit}' if actual is None else actual} bytes",
        limit=limit,
        actual=UNSET if actual is None else actual,
        setting=variable("max_body_bytes"),
    )
    return over_limit(413, "body-too-large", field)


def over_limit(status: int, code: str, field: FieldError) -> ProblemError:
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


def internal_error() -> ProblemError:
    detail = "An unexpected error occurred; the operator's log has the details."
    return ProblemError(500, "internal-error", detail)


# Any route may return these; `openapi` describes them.
_EVERYWHERE: Final = (400, 401, 403, 422, 429, 500, 503)
_WITH_BODY: Final = (408, 413, 415)


def problems(*statuses: int, body: bool = False) -> dict[int, ResponseSpec]:
    """Return a route's errors for OpenAPI: `statuses` and those that any route may return."""
    return {
        status: ResponseSpec(Problem, generate_examples=False, media_type=PROBLEM_JSON)
        for status in sorted({*statuses, *_EVERYWHERE, *(_WITH_BODY if body else ())})
    }
