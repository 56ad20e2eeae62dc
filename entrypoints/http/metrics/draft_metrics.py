"""The metrics of drafts: how many were started, and how they ended."""

from collections.abc import Iterator, Mapping
from typing import Final

from chatkeep.domain.drafts import DraftStatus
from chatkeep.domain.operations.metrics import MetricFamily

_COUNTED: Final = (
    "started",
    *(status.value for status in DraftStatus if status is not DraftStatus.ACTIVE),
)


def draft_metrics(counts: Mapping[str, int]) -> Iterator[MetricFamily]:
    yield MetricFamily.counter(
        "chatkeep_drafts",
        "Drafts that were started, and that ended, by how they did",
        [({"status": status}, counts.get(status, 0)) for status in _COUNTED],
    )
