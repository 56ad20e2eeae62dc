"""The log of conversations in memory."""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from chatkeep.adapters.memory.log_changes import MemoryLogChanges
from chatkeep.adapters.memory.store import (
    KeptConversation,
    by_position,
    size,
    size_of_message,
)
from chatkeep.domain.branch_pages import BranchLogPage, BranchMessage
from chatkeep.domain.branches import Tree
from chatkeep.domain.context import calls
from chatkeep.domain.errors import (
    ConversationIdTakenError,
    ItemIdTakenError,
    ItemNotFoundError,
    MessageNotFoundError,
)
from chatkeep.domain.events import EventKind
from chatkeep.domain.forking import fork_entry
from chatkeep.domain.ids import same_id
from chatkeep.domain.items import ItemId, message_id_in
from chatkeep.domain.log import (
    Appended,
    Bounds,
    Created,
    Entry,
    LogPage,
    NewEntry,
    RequestKey,
    View,
    apply_view,
    item_ids_given,
    match_append,
    match_create,
    messages_in,
    messages_of,
)
from chatkeep.domain.model import (
    BranchNumber,
    Conversation,
    ConversationId,
    ForkedFrom,
    Message,
    MessageId,
    Order,
    Position,
    UserId,
)
from chatkeep.domain.pages import NO_BOUND, count_fitting
from chatkeep.domain.places import Place
from chatkeep.domain.ranges import contains
from chatkeep.domain.revisions import revision_after
from chatkeep.domain.window import Window


class MemoryLog(MemoryLogChanges):
    __slots__ = ()

    async def create(
        self,
        conversation: Conversation,
        entries: Sequence[NewEntry],
        *,
        key: RequestKey | None = None,
        tree: Tree | None = None,
        provision: bool,
    ) -> Created:
        item_ids_given(entries)
        user = self.store.owner(conversation.user_id, provision=provision)
        existing = user.conversations.get(conversation.id)
        if existing is not None:
            if key is not None:
                left = existing.left_of(key, View.MESSAGES)
                if any(entry.item for entry in entries):
                    left = ()
                return Created(existing.conversation, left, created=False)
            view = View.WHOLE if any(entry.item for entry in entries) else View.ORIGINALS
            first = apply_view(existing.entries, view)[: len(entries)]
            return match_create(conversation, entries, existing.conversation, first)
        kept = KeptConversation(conversation._replace(message_count=0))
        stored = user.append(kept, entries, conversation.updated_at)
        kept.conversation = kept.conversation._replace(revision=conversation.revision)
        if tree is not None:
            kept.set_branches(tree.moved(stored[0].position - 1 if stored else 0))
        if key is not None:
            kept.remember(key, stored)
        user.conversations[conversation.id] = kept
        # Add the user only now, so that a refused create does not leave a new user behind.
        self.store.users[conversation.user_id] = user
        return Created(kept.conversation, stored, created=True)

    async def fork(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        new: Conversation,
        *,
        at: MessageId | None = None,
        branch: BranchNumber | None = None,
    ) -> Created:
        source = self.store.conversation(user_id, conversation_id)
        user = self.store.user(user_id)
        position = None if at is None else user.message(conversation_id, at).position
        _, path = source.tree.fork_path(branch, position)
        if at is not None and position is not None and not contains(path, position):
            raise MessageNotFoundError(at)
        entries = [fork_entry(entry, new.id) for entry in source.within(path)]
        messages = messages_in(entries)
        last = messages_in(source.within(path))[-1].id if messages else None
        forked_from = ForkedFrom(str(source.conversation.id), None if last is None else str(last))
        if new.id in user.conversations:
            there = user.conversations[new.id].conversation
            if there.forked_from != forked_from or not same_id(there.id, new.id):
                raise ConversationIdTakenError(new.id)
            return Created(there, (), created=False)
        kept = KeptConversation(
            new._replace(message_count=len(messages), forked_from=forked_from),
            entries,
            entries[-1].position if entries else 0,
        )
        user.conversations[new.id] = kept
        user.messages.update((message.id, message) for message in messages)
        return Created(kept.conversation, tuple(entries), created=True)

    async def append(  # noqa: PLR0913 - the port's
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        entries: Sequence[NewEntry],
        at: datetime,
        *,
        key: RequestKey | None = None,
        expected: int | None = None,
        window: int | None = None,
        place: Place | None = None,
        max_bytes: int = NO_BOUND,
    ) -> Appended:
        kept = self.store.conversation(user_id, conversation_id)
        stored = self._stored_before(user_id, kept, entries, key)
        if stored is None:
            given = item_ids_given(entries)
            for item_id in given:
                if any(_may_have(entry, item_id) for entry in kept.entries):
                    raise ItemIdTakenError(item_id)
            tree = None if place is None else self.placed(user_id, kept, place, at)
            stored = self.store.user(user_id).append(kept, entries, at, expected)
            if tree is not None:
                switches = kept.branches is None or kept.branches.current != tree.current
                kept.set_branches(tree)
                if switches:
                    self.store.user(user_id).note(kept, EventKind.CONVERSATION_UPDATED)
            if key is not None:
                kept.remember(key, stored)
        return Appended(
            stored,
            kept.conversation.message_count,
            None if window is None else kept.window(window, max_bytes),
            revision_after(kept.conversation.revision, expected),
            _branch_of(kept, stored),
        )

    async def page(  # noqa: PLR0913 - each is one independent part of the question
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        bounds: Bounds,
        *,
        view: View,
        order: Order,
        limit: int,
        branch: BranchNumber | None = None,
        max_bytes: int = NO_BOUND,
    ) -> LogPage:
        kept = self.store.conversation(user_id, conversation_id)
        entries = kept.path(branch)
        if view in {View.MESSAGES, View.ORIGINALS}:
            entries = [entry for entry in entries if entry.message is not None]
        user = self.store.user(user_id)

        def place(message_id: MessageId | None, position: Position | None) -> Position | None:
            if message_id is None:
                return position
            return user.message(conversation_id, message_id).position

        start, stop = 0, len(entries)
        after = place(bounds.after_message, bounds.after)
        before = place(bounds.before_message, bounds.before)
        if after is not None:
            start = bisect_right(entries, after, key=by_position)
        if before is not None:
            stop = bisect_left(entries, before, key=by_position)
        found = entries[start:stop]
        if order is Order.DESC:
            found.reverse()
        again = 0
        if bounds.past_item is not None:
            index = _index_of(found, bounds.past_item)
            again = int(found[index].item is None)
            found = found[index + 1 - again :]
        some = apply_view(found[: limit + again], view)
        fit = again + count_fitting(map(_bytes, some[again:]), max_bytes)
        return LogPage(some[:fit], len(found) > fit, kept.conversation.revision)

    async def branch_page(  # noqa: PLR0913 - as `page`
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        bounds: Bounds,
        *,
        view: View,
        order: Order,
        limit: int,
        branch: BranchNumber,
        max_bytes: int = NO_BOUND,
    ) -> BranchLogPage:
        found = await self.page(
            user_id,
            conversation_id,
            bounds,
            view=view,
            order=order,
            limit=limit,
            branch=branch,
            max_bytes=max_bytes,
        )
        kept = self.store.conversation(user_id, conversation_id)
        path = [message.id for message in messages_in(kept.path(branch))]
        before = dict(zip(path, [None, *path], strict=False))
        tree = kept.tree
        items = [
            BranchMessage(message, before[message.id], tree.writer(message.position))
            for message in messages_in(found.items)
        ]
        return BranchLogPage(items, found.more, found.revision)

    async def window(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        *,
        limit: int,
        branch: BranchNumber | None = None,
        max_bytes: int = NO_BOUND,
    ) -> Window:
        return self.store.conversation(user_id, conversation_id).window(limit, max_bytes, branch)

    async def get(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        message_id: MessageId,
        *,
        original: bool = False,
    ) -> Message:
        message = self.store.user(user_id).message(conversation_id, message_id)
        return message if original else message.without_original()

    async def find(
        self, user_id: UserId, conversation_id: ConversationId, item_id: ItemId
    ) -> Sequence[Entry]:
        kept = self.store.user(user_id).conversations.get(conversation_id)
        entries = kept.entries if kept is not None else []
        return apply_view([each for each in entries if _may_have(each, item_id)], View.ITEMS)

    async def position_since(
        self, user_id: UserId, conversation_id: ConversationId, at: datetime
    ) -> Position | None:
        kept = self.store.user(user_id).conversations.get(conversation_id)
        messages = [] if kept is None else kept.messages
        if not messages or messages[-1].created_at < at:
            return None
        place = bisect_left(messages, at, key=lambda message: message.created_at)
        return messages[place].position

    async def calls_before(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        position: Position,
        call_ids: Collection[str],
    ) -> Mapping[str, bool]:
        kept = self.store.user(user_id).conversations.get(conversation_id)
        return {
            call.id: call.is_custom
            for message in (kept.messages if kept is not None else ())
            if message.position < position and message.tool_calls is not None
            for call in calls(message.tool_calls)
            if call.id in call_ids
        }

    def _stored_before(
        self,
        user_id: UserId,
        kept: KeptConversation,
        entries: Sequence[NewEntry],
        key: RequestKey | None,
    ) -> tuple[Entry, ...] | None:
        """Return the entries of an earlier, equal append; None if there was none."""
        have_items = any(entry.item is not None for entry in entries)
        if key is not None and key.key in kept.keys:
            return kept.left_of(key, View.ITEMS if have_items else View.MESSAGES)
        if have_items:
            return None
        given = messages_of(entries)
        messages = self.store.user(user_id).messages
        there_before = [messages[each.id] for each in given if each.id in messages]
        if not there_before:
            return None
        found = match_append(kept.conversation.id, given, there_before)
        return tuple(Entry(each.position, each.created_at, each) for each in found)


def _branch_of(kept: KeptConversation, entries: Sequence[Entry]) -> BranchNumber | None:
    if kept.branches is None or not entries:
        return None if kept.branches is None else kept.branches.current
    return kept.tree.writer(entries[0].position)


def _bytes(entry: Entry) -> int:
    return size(entry.item) + (size_of_message(entry.message) if entry.message else 0)


def _may_have(entry: Entry, item_id: ItemId) -> bool:
    """Return whether the entry has this item, or is the message of a generated item id."""
    if entry.message is None or (
        entry.item_id is not None and message_id_in(entry.item_id) != entry.message.id
    ):
        return entry.item_id == item_id
    return message_id_in(item_id) == entry.message.id


def _index_of(entries: Sequence[Entry], item_id: ItemId) -> int:
    for index, entry in enumerate(entries):
        if entry.item_id == item_id or (entry.item is None and _may_have(entry, item_id)):
            return index
    raise ItemNotFoundError(item_id)
