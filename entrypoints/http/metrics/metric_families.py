"""Metric families as plain data, so that those of several processes can be merged."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, Literal, Protocol

import msgspec
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import generate_latest

Labels = dict[str, str]
Combine = Literal["sum", "min", "max", "newest"]
Kind = Literal["counter", "gauge", "histogram"]

_COMBINE: Final[dict[str, Callable[[float, float], float]]] = {
    "sum": lambda one, other: one + other,
    "min": min,
    "max": max,
}


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """One metric. Each of `samples` is a full name, its labels and a value.

    `combine` says how to merge samples of several processes that have the same labels. `newest` is
    for values that every process knows: the family with the latest time `at` replaces the others.
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
    ) -> "Family":
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
    ) -> "Family":
        samples = [(f"{name}_total", labels, value) for labels, value in values]
        return cls(name=name, kind="counter", help=help_, samples=samples, combine=combine)

    @classmethod
    def histogram(
        cls, name: str, help_: str, bounds: Sequence[float], counts: Sequence[int], total: float
    ) -> "Family":
        """Make a histogram of `counts`: one for each of `bounds`, and one for larger values."""
        samples: list[tuple[str, Labels, float]] = []
        so_far = 0
        for bound, count in zip([*map(str, bounds), "+Inf"], counts, strict=True):
            so_far += count
            samples.append((f"{name}_bucket", {"le": bound}, so_far))
        samples += [(f"{name}_count", {}, so_far), (f"{name}_sum", {}, total)]
        return cls(name=name, kind="histogram", help=help_, samples=samples)


class Source(Protocol):
    """A source of metrics."""

    def __call__(self) -> Iterable[Family]:
        """Return the current metrics. Called in the event loop, so it must not block."""


def of_registry(registry: CollectorRegistry) -> Iterator[Family]:
    """Yield the metrics of a Prometheus registry, without their creation times."""
    for metric in registry.collect():
        samples = [
            (sample.name, sample.labels, sample.value)
            for sample in metric.samples
            if not sample.name.endswith("_created")
        ]
        kind: Kind = "histogram" if metric.type == "histogram" else "counter"
        yield Family(name=metric.name, kind=kind, help=metric.documentation, samples=samples)


def combined(several: Iterable[Iterable[Family]]) -> list[Family]:
    """Merge the families of several processes, in the order of their first appearance."""
    found: dict[str, Family] = {}
    for families in several:
        for family in families:
            known = found.get(family.name)
            found[family.name] = family if known is None else _merge_two(known, family)
    return list(found.values())


def lasting(families: Iterable[Family]) -> list[Family]:
    """Return the families that still count after a process has ended: all but gauges."""
    return [family for family in families if family.kind != "gauge"]


def exposition(families: Iterable[Family]) -> bytes:
    """Return the families in Prometheus' text format."""
    return generate_latest(_Families(families))


class _Families:
    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        for family in self._families:
            metric = Metric(family.name, family.help, family.kind)
            for name, labels, value in family.samples:
                metric.add_sample(name, labels, value)
            yield metric


def _merge_two(one: Family, other: Family) -> Family:
    if one.combine == "newest":
        return max(one, other, key=lambda family: family.at)
    combine = _COMBINE[one.combine]
    values: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
    for name, labels, value in [*one.samples, *other.samples]:
        key = name, tuple(labels.items())
        values[key] = combine(values[key], value) if key in values else value
    samples = [(name, dict(labels), value) for (name, labels), value in values.items()]
    return msgspec.structs.replace(one, samples=samples)
