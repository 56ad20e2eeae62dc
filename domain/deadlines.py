"""The deadlines of the drafts that are written through this process."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

from chatkeep.domain.drafts import Draft, DraftId
from chatkeep.domain.model import ConversationId, UserId


class Deadlines:
    """Remembers the drafts that are active, as they were after their last write here."""

    def __init__(self) -> None:
        self._drafts: dict[tuple[UserId, ConversationId, DraftId], Draft] = {}
        self.is_needed = asyncio.Event()
        """Set while there are drafts."""

    def note(self, draft: Draft) -> None:
        """Remember the draft as it is now, or forget it if it has ended."""
        key = draft.user_id, draft.conversation_id, draft.id
        if draft.is_active:
            self._drafts[key] = draft
            self.is_needed.set()
        elif self._drafts.pop(key, None) and not self._drafts:
            self.is_needed.clear()

    def take_overdue(self, at: datetime) -> Sequence[Draft]:
        """Return the drafts that are overdue as far as is known here, and forget them."""
        found = [draft for draft in self._drafts.values() if draft.is_overdue(at)]
        for draft in found:
            del self._drafts[draft.user_id, draft.conversation_id, draft.id]
        if not self._drafts:
            self.is_needed.clear()
        return found
