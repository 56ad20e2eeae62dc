"""What an examination of the store finds: one finding for each thing that was looked at."""

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`check` is what was looked at, `subject` which one of them; empty: all there are.

    `found` and `way_out` are one line each; there is no way out where nothing is to be done.
    `examples` are a few of what is wrong when there may be many. `seconds` is how long it took.
    """

    outcome: Outcome
    found: str
    check: str = ""
    subject: str = ""
    way_out: str = ""
    examples: tuple[str, ...] = ()
    seconds: float = 0.0


def ok(found: str, *, subject: str = "") -> Finding:
    return Finding(outcome=Outcome.OK, found=found, subject=subject)


def warning(found: str, way_out: str, *, subject: str = "") -> Finding:
    return Finding(outcome=Outcome.WARNING, found=found, way_out=way_out, subject=subject)


def failed(found: str, way_out: str, *, subject: str = "") -> Finding:
    return Finding(outcome=Outcome.FAILED, found=found, way_out=way_out, subject=subject)


def skipped(found: str, *, subject: str = "") -> Finding:
    return Finding(outcome=Outcome.SKIPPED, found=found, subject=subject)
