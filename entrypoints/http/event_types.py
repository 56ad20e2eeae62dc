"""`types`: a reader of events who wants only some types of them."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Annotated, Final

from litestar.params import Parameter

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.events import EventKind
from chatkeep.domain.hub import Watch
from chatkeep.entrypoints.http.event_stream import Batch, EventSource

DRAFT_TYPES: Final = frozenset(kind for kind in EventKind if kind.startswith("draft."))
OF_CONVERSATION: Final = frozenset(EventKind) - {EventKind.CONVERSATION_CREATED}
OF_FEED: Final = frozenset(EventKind) - DRAFT_TYPES

Types = Annotated[
    str | None,
    Parameter(
        description="only events of these types, separated by commas, such as "
        "`message.created,message.updated` (default: all)"
    ),
]

_MAX_SHOWN: Final = 40


def choose_types(
    source: EventSource, types: str | None, known: Collection[EventKind]
) -> EventSource:
    """Return the source, or what it has of the types that the caller named.

    Raises `InvalidValueError` for a type that is not `known` on this route.
    """
    if types is None:
        return source
    wanted = set()
    for name in types.split(","):
        if name not in known:
            there = ", ".join(kind for kind in EventKind if kind in known)
            shown = name if len(name) <= _MAX_SHOWN else f"{name[:_MAX_SHOWN]}..."
            raise InvalidValueError(
                "types", f"has {shown!r}, which never comes here; the types are {there}"
            )
        wanted.add(EventKind(name))
    return _Chosen(source, wanted)


@dataclass(frozen=True, slots=True)
class _Chosen:
    source: EventSource
    types: Collection[EventKind]

    @contextmanager
    def watching(self) -> Iterator[Watch]:
        with self.source.watching() as watch:
            watch.wants_drafts &= not DRAFT_TYPES.isdisjoint(self.types)
            yield watch

    async def read(self, watch: Watch) -> Batch:
        """Return the next batch without the others. Its last event has the cursor after them."""
        batch = await self.source.read(watch)
        if batch.is_over:  # the client would come back again and again
            return batch
        events = [(name, event) for name, event in batch.events if event.type in self.types]
        if not events:
            return replace(batch, events=(), stored_at=0)
        events[-1] = batch.cursor, events[-1][1]
        return replace(batch, events=events)
