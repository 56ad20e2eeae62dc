"""The results of the checks of `chatkeep doctor`."""

from dataclasses import dataclass
from enum import StrEnum


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
