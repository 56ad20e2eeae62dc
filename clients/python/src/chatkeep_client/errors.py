"""The errors that a call may raise. All derive from `ChatkeepError`."""

from collections.abc import Mapping
from typing import Final

import httpx
import msgspec

_URN: Final = "urn:chatkeep:problem:"
_SHOWN: Final = 300


class ChatkeepError(Exception):
    """The root of all errors of this package."""


class ConnectionFailedError(ChatkeepError):
    """The service could not be reached, or the connection broke. `__cause__` is httpx's error.

    `may_be_done` says whether an attempt was sent, so that the service may have carried it out.
    """

    def __init__(self, detail: str, *, may_be_done: bool) -> None:
        super().__init__(detail)
        self.may_be_done = may_be_done


class UnexpectedAnswerError(ChatkeepError):
    """A successful answer that is not one of chatkeep: perhaps the URL is another service's."""


class IncompleteExportError(ChatkeepError):
    """The service or the network ended an export early. What came before is complete lines."""


class NotModifiedError(ChatkeepError):
    """The conversation still has the `known_revision`, so the answer has no body."""

    def __init__(self, revision: int) -> None:
        super().__init__(f"the conversation is still at revision {revision}")
        self.revision = revision


class FieldError(msgspec.Struct, kw_only=True, frozen=True):
    """An error in one field of a request.

    For a limit also the `limit`, the `actual` size and the service's `setting`.
    """

    field: str
    detail: str
    limit: int | None = None
    actual: int | None = None
    setting: str | None = None


class DraftState(msgspec.Struct, kw_only=True, frozen=True):
    """A draft that is in the way: its `status`, its `epoch`, and the number of its `next` chunk."""

    id: str
    status: str | None = None
    epoch: int | None = None
    next: int | None = None


class _OpenAIError(msgspec.Struct, kw_only=True):
    message: str = ""
    code: str | None = None
    param: str | None = None


class _Problem(msgspec.Struct, kw_only=True):
    type: str = "about:blank"
    title: str = ""
    status: int = 0
    detail: str = ""
    errors: list[FieldError] = []
    found: list[str] | None = None
    revision: int | None = None
    draft: DraftState | None = None
    error: _OpenAIError | None = None


class ProblemError(ChatkeepError):
    """The service refused a request: problem details (RFC 9457).

    - `status`: the HTTP status.
    - `code`: the kind of problem in one word, such as `not-found`; the end of `type`. Empty if the
      answer is not chatkeep's, for example a proxy's.
    - `type`, `title`, `detail`: as they were sent. `detail` says how to fix it.
    - `errors`: the wrong fields; `field`, `limit`, `actual` and `setting` are those of the first.
    - `retry_after`: seconds to wait, if the service said so.
    """

    def __init__(self, problem: _Problem, *, status: int, retry_after: float | None = None) -> None:
        super().__init__(problem.detail or problem.title or f"HTTP {status}")
        self.status = status
        self.type = problem.type
        self.code = problem.type.removeprefix(_URN) if problem.type.startswith(_URN) else ""
        self.title = problem.title
        self.detail = problem.detail
        self.errors = tuple(problem.errors)
        self.retry_after = retry_after
        first = self.errors[0] if self.errors else None
        self.field = None if first is None else first.field
        self.limit = None if first is None else first.limit
        self.actual = None if first is None else first.actual
        self.setting = None if first is None else first.setting


class InvalidValueError(ProblemError):
    """422: a field or parameter has a value that the service does not take."""


class LimitExceededError(ProblemError):
    """422 or 413: longer or more than a limit of the service allows. `limit` is that limit."""


class AuthenticationError(ProblemError):
    """401: the token or the service key is missing, wrong or expired."""


class ForbiddenError(ProblemError):
    """403: the caller may not do this, or the user is not provisioned."""


class NotFoundError(ProblemError):
    """404: it does not exist, or it is another user's."""


class ConflictError(ProblemError):
    """409. A subclass says what conflicts."""


class IdTakenError(ConflictError):
    """409: the id, or the `Idempotency-Key`, is that of something else."""


class RetainedError(ConflictError):
    """409: the conversation is on hold, so nothing may be deleted or rewritten."""


class WrongBranchError(ConflictError):
    """409: the message is on another branch, or other branches share it."""


class SuffixDiffersError(ConflictError):
    """409: the end of the conversation is not the expected one. `found` has the ids there."""

    def __init__(self, problem: _Problem, *, status: int, retry_after: float | None = None) -> None:
        super().__init__(problem, status=status, retry_after=retry_after)
        self.found = tuple(problem.found or ())


class DraftConflictError(ConflictError):
    """409: a draft is not as expected. `draft` is how it is."""

    def __init__(self, problem: _Problem, *, status: int, retry_after: float | None = None) -> None:
        super().__init__(problem, status=status, retry_after=retry_after)
        self.draft = problem.draft


class DraftActiveError(DraftConflictError):
    """409: the conversation has another active draft: show it, cancel it, or supersede it."""


class DraftGapError(DraftConflictError):
    """409: chunks before these are missing: send those from `draft.next` on."""


class DraftSupersededError(DraftConflictError):
    """409: another producer has taken over: stop."""


class DraftEndedError(DraftConflictError):
    """409: the draft was cancelled, interrupted or finished: stop."""


class GoneError(ProblemError):
    """410: the cursor of events is too old. Read the history again, and follow from now on."""


class RevisionConflictError(ProblemError):
    """412: the conversation has another revision than expected; `revision` is the current one."""

    def __init__(self, problem: _Problem, *, status: int, retry_after: float | None = None) -> None:
        super().__init__(problem, status=status, retry_after=retry_after)
        self.revision = problem.revision


class TooManyRequestsError(ProblemError):
    """429, after all attempts: the user exceeds their share."""


class UnavailableError(ProblemError):
    """503, after all attempts: the service is overloaded, or has no database."""


class ServerError(ProblemError):
    """500 or higher, except 503: a fault of the service or of a proxy."""


_BY_CODE: Final[Mapping[str, type[ProblemError]]] = {
    "invalid-value": InvalidValueError,
    "limit-exceeded": LimitExceededError,
    "body-too-large": LimitExceededError,
    "id-taken": IdTakenError,
    "retained": RetainedError,
    "wrong-branch": WrongBranchError,
    "suffix-differs": SuffixDiffersError,
    "draft-active": DraftActiveError,
    "draft-gap": DraftGapError,
    "draft-superseded": DraftSupersededError,
    "draft-ended": DraftEndedError,
}
_BY_STATUS: Final[Mapping[int, type[ProblemError]]] = {
    401: AuthenticationError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    410: GoneError,
    412: RevisionConflictError,
    413: LimitExceededError,
    422: InvalidValueError,
    429: TooManyRequestsError,
    503: UnavailableError,
}
_INTERNAL: Final = 500
_DECODER: Final = msgspec.json.Decoder(_Problem)


def problem_of(response: httpx.Response) -> ProblemError:
    """Return the error that an answer of 400 or higher means. Its body must have been read."""
    status = response.status_code
    try:
        problem = _DECODER.decode(response.content)
    except msgspec.DecodeError:
        problem = _Problem(title=response.reason_phrase, detail=response.text[:_SHOWN])
    if problem.error is not None:  # below /openai
        code = (problem.error.code or "").replace("_", "-")
        problem.type, problem.detail = _URN + code, problem.error.message
        if problem.error.param:
            problem.errors = [FieldError(field=problem.error.param, detail=problem.detail)]
    code = problem.type.removeprefix(_URN)
    other = ServerError if status >= _INTERNAL else ProblemError
    kind = _BY_CODE.get(code) or _BY_STATUS.get(status, other)
    return kind(problem, status=status, retry_after=read_retry_after(response))


def read_retry_after(response: httpx.Response) -> float | None:
    """Return the seconds of `Retry-After`; None without it, or if it is a date."""
    text = response.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdecimal() else None
