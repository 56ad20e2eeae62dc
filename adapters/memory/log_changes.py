"""Deletes and rewrites what is in a log in memory."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import datetime

from chatkeep.adapters.memory.branches import MemoryBranches
from chatkeep.adapters.memory.store import KeptConversation, by_position
from chatkeep.domain.editing import (
    MessagePatch,
    Replaced,
    Stored,
    Truncated,
    check_suffix,
    edit,
    match_replace,
)
from chatkeep.domain.errors import MessageIdTakenError
from chatkeep.domain.ids import same_id
from chatkeep.domain.log import Entry, RequestKey, View, entries_of, messages_in
from chatkeep.domain.model import ConversationId, MessageId, NewMessage, Position, UserId
from chatkeep.domain.revisions import check_revision, revision_after


class MemoryLogChanges(MemoryBranches):
    __slots__ = ()

    async def delete(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        message_id: MessageId,
        *,
        expected: int | None = None,
    ) -> int:
        user = self.store.user(user_id)
        message = user.message(conversation_id, message_id)
        kept = user.conversations[conversation_id]
        entry = Entry(message.position, message.created_at, message)
        user.remove(kept, entry, expected)
        user.note_deleted(kept, [entry])
        return kept.conversation.revision

    async def delete_at(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        position: Position,
        *,
        expected: int | None = None,
    ) -> int | None:
        user = self.store.user(user_id)
        kept = user.conversations.get(conversation_id)
        entry = None if kept is None else kept.at(position)
        if kept is None or entry is None:
            return None
        user.remove(kept, entry, expected)
        user.note_deleted(kept, [entry])
        return kept.conversation.revision

    async def put(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        message: NewMessage,
        at: datetime,
        *,
        expected: int | None = None,
    ) -> Stored:
        kept = self.store.conversation(user_id, conversation_id)
        user = self.store.user(user_id)
        stored = None if message.id is None else user.messages.get(message.id)
        if stored is None:
            [added] = messages_in(user.append(kept, entries_of([message]), at, expected))
            return Stored(added.without_original(), kept.conversation.revision, created=True)
        is_same = message.id is not None and same_id(stored.id, message.id)
        if stored.conversation_id != conversation_id or not is_same:
            raise MessageIdTakenError(stored.id)
        edited = edit(stored, message, at)
        if edited is not stored:
            user.rewrite(kept, Entry(edited.position, edited.created_at, edited), expected)
        revision = revision_after(kept.conversation.revision, expected)
        return Stored(edited.without_original(), revision)

    async def patch(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        message_id: MessageId,
        patch: MessagePatch,
        *,
        expected: int | None = None,
    ) -> Stored:
        user = self.store.user(user_id)
        stored = user.message(conversation_id, message_id)
        kept = user.conversations[conversation_id]
        patched = patch.apply(stored)
        entry = kept.at(stored.position)
        if patched is not stored and entry is not None:
            user.rewrite(kept, entry._replace(message=patched), expected)
        revision = revision_after(kept.conversation.revision, expected)
        return Stored(patched.without_original(), revision)

    async def truncate(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        message_id: MessageId,
        *,
        keep: bool,
        expected: int | None = None,
    ) -> Truncated:
        user = self.store.user(user_id)
        position = user.message(conversation_id, message_id).position
        kept = user.conversations[conversation_id]
        before = kept.conversation.revision
        end = _end_of(kept, message_id, position, keep=keep)
        gone = user.remove_all(kept, end, expected)
        if gone:
            kept.raise_revision(before)
            user.note_deleted(kept, gone)
        now = kept.conversation
        return Truncated(
            len(messages_in(gone)), now.message_count, revision_after(now.revision, expected)
        )

    async def replace(  # noqa: PLR0913, PLR0917 - each is one independent part of the call
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        after: MessageId | None,
        suffix: Sequence[MessageId],
        messages: Sequence[NewMessage],
        at: datetime,
        *,
        key: RequestKey | None = None,
        expected: int | None = None,
    ) -> Replaced:
        kept = self.store.conversation(user_id, conversation_id)
        if key is not None and key.key in kept.keys:
            left = messages_in(kept.left_of(key, View.MESSAGES))
            now = kept.conversation
            return Replaced(left, 0, now.message_count, revision_after(now.revision, expected))
        user = self.store.user(user_id)
        position = 0 if after is None else user.message(conversation_id, after).position
        there = _suffix(kept, after, Position(position))
        stored = match_replace(messages, there)
        before = kept.conversation.revision
        if stored is not None:
            revision = revision_after(before, expected)
            return Replaced(stored, 0, kept.conversation.message_count, revision)
        check_suffix([each.id for each in messages_in(there)], suffix)
        new = entries_of(messages)
        end = _end_of(kept, after, Position(position))
        user.check_free(new, but=suffix)
        gone = user.remove_all(kept, end, expected)
        if not gone:
            check_revision(kept.conversation, expected)
        added = user.append(kept, new, at) if new else ()
        stored = messages_in(added)
        if key is not None:
            kept.remember(key, added)
        kept.raise_revision(before)
        user.note_deleted(kept, gone)
        return Replaced(stored, len(messages_in(gone)), kept.conversation.message_count, before + 1)


def _suffix(
    kept: KeptConversation,
    message_id: MessageId | None,
    position: Position,
    *,
    keep: bool = True,
) -> list[Entry]:
    """Return the entries of the current branch after a message, or from it on."""
    entries = kept.path(None)
    kept.tree.check_current(message_id, position)
    bisect = bisect_right if keep else bisect_left
    return entries[bisect(entries, position, key=by_position) :]


def _end_of(
    kept: KeptConversation,
    message_id: MessageId | None,
    position: Position,
    *,
    keep: bool = True,
) -> list[Entry]:
    """Return the same, to be deleted. Raises `SharedByBranchesError`."""
    if kept.branches is not None:
        return kept.within(kept.tree.rewritable(message_id, position, keep=keep))
    return _suffix(kept, message_id, position, keep=keep)
