"""The promises of the ports, each with a scenario that shows whether a store keeps it."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from chatkeep.domain.operations.selftest.branching import branches
from chatkeep.domain.operations.selftest.chat import (
    counts,
    create,
    filters,
    items,
    order,
    originals,
    retry,
    text,
)
from chatkeep.domain.operations.selftest.concurrency import revision
from chatkeep.domain.operations.selftest.deletion import cascade, erasure, hold
from chatkeep.domain.operations.selftest.drafting import drafts
from chatkeep.domain.operations.selftest.editing import edit, truncation
from chatkeep.domain.operations.selftest.following import events
from chatkeep.domain.operations.selftest.ids import text_ids
from chatkeep.domain.operations.selftest.isolation import atomicity, isolation, refusal
from chatkeep.domain.operations.selftest.store import StoreUnderTest

Scenario = Callable[[StoreUnderTest], Awaitable[str]]

PROMISES: Final[Mapping[str, Scenario]] = {
    scenario.__name__: scenario
    for scenario in (
        create,
        order,
        counts,
        retry,
        cascade,
        erasure,
        hold,
        edit,
        truncation,
        branches,
        drafts,
        events,
        isolation,
        refusal,
        atomicity,
        text,
        items,
        originals,
        text_ids,
        filters,
        revision,
    )
}
"""By name. Each needs a store with two users and nothing else, and returns what it saw.

Raises `BrokenPromiseError`, or what the store raises.
"""
