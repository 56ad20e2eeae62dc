"""The ports: the interfaces that the use cases need, and the promises that every adapter keeps.

All stores keep these promises:

- Every call names the user. Data of other users is treated as if it did not exist.
- Each call is atomic, also if several processes make it at once.
- An id that is a text (`domain.ids.NamedId`) comes back as it was given. It is found by its key.
- Returned values are snapshots: later changes of the store do not change them.
- Every change of a conversation or of its log raises the conversation's `revision`.
- A change with `expected` changes nothing, and raises `RevisionConflictError`, unless the
  conversation has that revision at the moment of the change. Other errors come before this one,
  and a call that has nothing to change succeeds.
- A page ends before its texts and JSON exceed about `max_bytes` bytes, but it has at least one
  element if there is any. `more` is true if `limit` or `max_bytes` left out elements.
- A store that cannot answer now raises `StoreUnavailableError`; the caller may repeat the call.
"""

from dataclasses import dataclass

from chatkeep.domain.ports.audit import Audit
from chatkeep.domain.ports.branches import Branches
from chatkeep.domain.ports.clock import Clock
from chatkeep.domain.ports.conversations import Conversations
from chatkeep.domain.ports.drafts import Drafts
from chatkeep.domain.ports.events import Events
from chatkeep.domain.ports.log import Log
from chatkeep.domain.ports.overview import Overviews
from chatkeep.domain.ports.search import Search
from chatkeep.domain.ports.sweeps import Sweeps, SweepSchedule
from chatkeep.domain.ports.users import MAX_NAMED, Users

__all__ = [
    "MAX_NAMED",
    "Audit",
    "Branches",
    "Clock",
    "Conversations",
    "Drafts",
    "Events",
    "Log",
    "Overviews",
    "Search",
    "Stores",
    "SweepSchedule",
    "Sweeps",
    "Users",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """All the ports that one adapter keeps data behind, over the same data."""

    users: Users
    conversations: Conversations
    log: Log
    events: Events
    drafts: Drafts
    search: Search
    sweeps: Sweeps
    sweep_schedule: SweepSchedule
    audit: Audit
    overviews: Overviews
