"""Metrics as plain data: what Prometheus calls a metric family.

Adapters report what they count in this form. The HTTP side adds its own, combines those of several
processes, and writes them in Prometheus' text format.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Labels = dict[str, str]
Combine = Literal["sum", "min", "max", "newest"]
Kind = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricFamily:
    """One metric. Each of `samples` is a full name, its labels and a value.

    `combine` says how to merge samples of several processes that have the same labels. `newest` is
    for values that every process knows: the family with the latest time `at`, in seconds since
    1970, replaces the others.
    """

    name: str
    kind: Kind
    help: str
    samples: Sequence[tuple[str, Labels, float]]
    combine: Combine = "sum"
    at: float = 0.0

    @classmethod
    def gauge(
        cls,
        name: str,
        help_: str,
        value: float,
        labels: Labels | None = None,
        *,
        combine: Combine = "sum",
    ) -> "MetricFamily":
        return cls(
            name=name,
            kind="gauge",
            help=help_,
            samples=[(name, labels or {}, value)],
            combine=combine,
        )

    @classmethod
    def counter(
        cls,
        name: str,
        help_: str,
        values: Iterable[tuple[Labels, float]],
        *,
        combine: Combine = "sum",
    ) -> "MetricFamily":
        samples = [(f"{name}_total", labels, value) for labels, value in values]
        return cls(name=name, kind="counter", help=help_, samples=samples, combine=combine)

    @classmethod
    def histogram(
        cls, name: str, help_: str, bounds: Sequence[float], counts: Sequence[int], total: float
    ) -> "MetricFamily":
        """Make a histogram of `counts`: one for each of `bounds`, and one for larger values."""
        samples: list[tuple[str, Labels, float]] = []
        so_far = 0
        for bound, count in zip([*map(str, bounds), "+Inf"], counts, strict=True):
            so_far += count
            samples.append((f"{name}_bucket", {"le": bound}, so_far))
        samples += [(f"{name}_count", {}, so_far), (f"{name}_sum", {}, total)]
        return cls(name=name, kind="histogram", help=help_, samples=samples)


class MetricSource(Protocol):
    """A source of metrics."""

    def __call__(self) -> Iterable[MetricFamily]:
        """Return the current metrics. Called in the event loop, so it must not block."""
        ...
