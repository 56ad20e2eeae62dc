"""The results of the checks of `chatkeep doctor`."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from chatkeep.domain.examination import Examination

PROMISE: Final = "promise"
"""The name of the check that exercises the promises, one result each."""


class Outcome(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """One result of a check.

    `check` names the check; `target` the object that the result is about, or "" for the whole
    database. `message` says what was found, `fix` what to do, or "" if there is nothing to do; each
    is one line. `examples` are a few of many affected rows. `seconds` is the duration.
    """

    outcome: Outcome
    message: str
    check: str = ""
    target: str = ""
    fix: str = ""
    examples: tuple[str, ...] = ()
    seconds: float = 0.0


def ok(message: str, *, target: str = "") -> CheckResult:
    return CheckResult(outcome=Outcome.OK, message=message, target=target)


def warning(message: str, fix: str, *, target: str = "") -> CheckResult:
    return CheckResult(outcome=Outcome.WARNING, message=message, fix=fix, target=target)


def failed(message: str, fix: str, *, target: str = "") -> CheckResult:
    return CheckResult(outcome=Outcome.FAILED, message=message, fix=fix, target=target)


def skipped(message: str, *, target: str = "") -> CheckResult:
    return CheckResult(outcome=Outcome.SKIPPED, message=message, target=target)


def summarize(at: datetime, results: Iterable[CheckResult]) -> Examination:
    """Return the results of an examination that ended at a time, in numbers."""
    found = list(results)
    outcomes = Counter(result.outcome for result in found)
    promises = Counter(result.outcome for result in found if result.check == PROMISE)
    return Examination(
        at=at,
        ok=outcomes[Outcome.OK],
        warnings=outcomes[Outcome.WARNING],
        failed=outcomes[Outcome.FAILED],
        skipped=outcomes[Outcome.SKIPPED],
        promises_kept=promises[Outcome.OK],
        promises_broken=promises[Outcome.FAILED],
    )
