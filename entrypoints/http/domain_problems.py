"""The problems that callers get for errors of the domain."""

from collections.abc import Mapping
from typing import Final

from msgspec import UNSET

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
from chatkeep.entrypoints.http.problems import (
    DraftState,
    FieldError,
    ProblemError,
    etag,
    internal_error,
    invalid_fields,
    over_limit,
)
from chatkeep.entrypoints.settings import variable

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


# What a limit is about, unless something has a size: the request for a page, and one more branch.
_HAS: Final = {"max_page": "asks for", "max_branches": "would make"}


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
            has = _HAS.get(error.limit_name, "has")
            size = f"more than {error.limit}" if error.actual is None else error.actual
            field = FieldError(
                field=error.field,
                detail=f"{has} {size} {error.unit}",
                limit=error.limit,
                actual=UNSET if error.actual is None else error.actual,
                setting=variable(error.limit_name),
            )
            problem = over_limit(422, "limit-exceeded", field)
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
