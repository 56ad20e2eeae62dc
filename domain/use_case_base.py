"""The ports and limits of all use cases of a caller, and a check that several make."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from chatkeep.domain.audit_use_cases import AuditUseCases
from chatkeep.domain.draft_use_cases import DraftUseCases
from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.events import CHANGES_KEPT
from chatkeep.domain.hub import Hub
from chatkeep.domain.model import Limits, NewMessage
from chatkeep.domain.ports import Clock, Conversations, Events, Log, Overviews, Search, Users


@dataclass(frozen=True, slots=True)
class UseCases:
    """With `provision_users`, an unknown user is added at their first write.

    All methods raise `StoreUnavailableError` if the store cannot answer.
    """

    users: Users
    conversations: Conversations
    log: Log
    events: Events
    drafts: DraftUseCases
    search: Search
    audit: AuditUseCases
    overviews: Overviews
    clock: Clock
    limits: Limits = field(default_factory=Limits)
    provision_users: bool = True
    hub: Hub = field(default_factory=Hub)
    """Is notified of the changes of `conversations` and `log` in this process."""

    changes_kept: timedelta = CHANGES_KEPT

    def check_batch(self, messages: Sequence[NewMessage]) -> None:
        self.limits.check("max_batch", len(messages), field="messages", unit="messages")
        ids = set()
        for index, message in enumerate(messages):
            message.check(self.limits, within=f"messages[{index}].")
            if message.id is not None:
                if message.id in ids:
                    raise InvalidValueError(f"messages[{index}].id", "duplicate id in this batch")
                ids.add(message.id)
