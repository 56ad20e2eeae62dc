"""The branches of conversations in memory."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from chatkeep.adapters.memory.store import KeptConversation, MemoryStore
from chatkeep.domain.branches import Tree
from chatkeep.domain.events import EventKind
from chatkeep.domain.log import messages_in
from chatkeep.domain.model import BranchNumber, ConversationId, MessageId, Order, Position, UserId
from chatkeep.domain.places import AtTip, Place
from chatkeep.domain.ranges import START, Range
from chatkeep.domain.revisions import check_revision


@dataclass(frozen=True, slots=True)
class MemoryBranches:
    store: MemoryStore

    async def tree(self, user_id: UserId, conversation_id: ConversationId) -> Tree:
        return self.store.conversation(user_id, conversation_id).tree

    async def ends(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        paths: Sequence[Sequence[Range]],
        order: Order,
    ) -> Sequence[tuple[Position, MessageId] | None]:
        kept = self.store.conversation(user_id, conversation_id)
        found = [messages_in(kept.within(path)) for path in paths]
        at = 0 if order is Order.ASC else -1
        return [(some[at].position, some[at].id) if some else None for some in found]

    async def change_branches(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        change: Callable[[Tree], Tree],
        *,
        expected: int | None = None,
    ) -> Tree:
        kept = self.store.conversation(user_id, conversation_id)
        changed = change(kept.tree)
        check_revision(kept.conversation, expected)
        if changed != kept.tree:
            kept.set_branches(changed)
            kept.raise_revision()
            self.store.user(user_id).note(kept, EventKind.CONVERSATION_UPDATED)
        return kept.tree

    async def delete_branch(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        number: BranchNumber,
        *,
        expected: int | None = None,
    ) -> int:
        kept = self.store.conversation(user_id, conversation_id)
        tree, freed = kept.tree.remove(number)
        user = self.store.user(user_id)
        kept.check_deletable()
        check_revision(kept.conversation, expected)
        before = kept.conversation.revision
        gone = kept.within(freed)
        for entry in gone:
            user.remove(kept, entry)
        kept.set_branches(tree)
        kept.raise_revision(before)
        user.note(kept, EventKind.CONVERSATION_UPDATED)
        user.note_deleted(kept, gone)
        return kept.conversation.revision

    def placed(
        self, user_id: UserId, kept: KeptConversation, place: Place, at: datetime
    ) -> Tree | None:
        """Return the branches for an append at a place; None if the conversation has none."""
        tree = kept.tree
        if isinstance(place, AtTip):
            placed = tree.switch(place.branch)
        else:
            position = START
            if place.message_id is not None:
                user = self.store.user(user_id)
                position = user.message(kept.conversation.id, place.message_id).position
            tips = {number: _tip(kept, tree.path(number)) for number in tree.may_end_at(position)}
            placed = tree.place(
                position, tips, at, count=len(tree.branches), max_branches=place.max_branches
            )
        return kept.branches if placed == tree else placed


def _tip(kept: KeptConversation, path: Sequence[Range]) -> Position:
    messages = messages_in(kept.within(path))
    return messages[-1].position if messages else START
