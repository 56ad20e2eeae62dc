"""Metric families: read from Prometheus' registry, combined across processes, written as text."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Final

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import generate_latest

from chatkeep.domain.operations.metrics import Kind, MetricFamily

_COMBINE: Final[dict[str, Callable[[float, float], float]]] = {
    "sum": lambda one, other: one + other,
    "min": min,
    "max": max,
}


def collect_registry(registry: CollectorRegistry) -> Iterator[MetricFamily]:
    """Yield the metrics of a Prometheus registry, without their creation times."""
    for metric in registry.collect():
        samples = [
            (sample.name, sample.labels, sample.value)
            for sample in metric.samples
            if not sample.name.endswith("_created")
        ]
        kind: Kind = "histogram" if metric.type == "histogram" else "counter"
        yield MetricFamily(name=metric.name, kind=kind, help=metric.documentation, samples=samples)


def merge_families(several: Iterable[Iterable[MetricFamily]]) -> list[MetricFamily]:
    """Merge the families of several processes, in the order of their first appearance."""
    found: dict[str, MetricFamily] = {}
    for families in several:
        for family in families:
            known = found.get(family.name)
            found[family.name] = family if known is None else _merge_two(known, family)
    return list(found.values())


def drop_gauges(families: Iterable[MetricFamily]) -> list[MetricFamily]:
    """Return the families that still count after a process has ended: all but gauges."""
    return [family for family in families if family.kind != "gauge"]


def format_families(families: Iterable[MetricFamily]) -> bytes:
    """Return the families in Prometheus' text format."""
    return generate_latest(_Collector(families))


class _Collector:
    def __init__(self, families: Iterable[MetricFamily]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        for family in self._families:
            metric = Metric(family.name, family.help, family.kind)
            for name, labels, value in family.samples:
                metric.add_sample(name, labels, value)
            yield metric


def _merge_two(one: MetricFamily, other: MetricFamily) -> MetricFamily:
    if one.combine == "newest":
        return max(one, other, key=lambda family: family.at)
    merge = _COMBINE[one.combine]
    values: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
    for name, labels, value in [*one.samples, *other.samples]:
        key = name, tuple(labels.items())
        values[key] = merge(values[key], value) if key in values else value
    samples = [(name, dict(labels), value) for (name, labels), value in values.items()]
    return replace(one, samples=samples)
