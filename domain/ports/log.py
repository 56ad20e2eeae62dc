"""The port to the logs of conversations."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from chatkeep.domain.branch_pages import BranchLogPage
from chatkeep.domain.branches import Tree
from chatkeep.domain.editing import MessagePatch, Replaced, Stored, Truncated
from chatkeep.domain.items import ItemId
from chatkeep.domain.log import (
    Appended,
    Bounds,
    Created,
    Entry,
    LogPage,
    NewEntry,
    RequestKey,
    View,
)
from chatkeep.domain.model import (
    BranchNumber,
    Conversation,
    ConversationId,
    Message,
    MessageId,
    NewMessage,
    Order,
    Position,
    UserId,
)
from chatkeep.domain.pages import NO_BOUND
from chatkeep.domain.places import Place
from chatkeep.domain.ports.branches import Branches
from chatkeep.domain.window import Window


class Log(Branches, Protocol):
    """The logs of conversations: one ordered list of entries for each.

    The original of a message comes back byte for byte. Results of `create` and `append` have it;
    pages only in `View.ORIGINALS` and `View.WHOLE`, windows only where a context is made from it
    (`domain.window.for_window`).

    An entry that is both a message and an item is one entry: deleting it deletes both.
    """

    async def create(
        self,
        conversation: Conversation,
        entries: Sequence[NewEntry],
        *,
        key: RequestKey | None = None,
        tree: Tree | None = None,
        provision: bool,
    ) -> Created:
        """Store a conversation with its first entries in order. Their messages have ids.

        A `tree` gives it branches; the positions in it are places in `entries`, from 1.
        `message_count` is computed from `entries`; the other fields are stored as they are. An
        entry without a time gets the conversation's `updated_at`.
        If an equal conversation with that id exists (`domain.log.match_create`), or one that was
        created with the same `key`, it is returned as it is stored; with the entries that are left
        of those that the key stored, if they have no items.
        Raises `ConversationIdTakenError` if the id belongs to a different conversation, or
        `KeyTakenError` if there is a `key`; `MessageIdTakenError` if a message id is in use;
        `ItemIdTakenError` for a duplicate item id; `UserNotProvisionedError` if the user does not
        exist and `provision` is false or they cannot be added.
        """
        ...

    async def fork(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        new: Conversation,
        *,
        at: MessageId | None = None,
        branch: BranchNumber | None = None,
    ) -> Created:
        """Copy a path of a conversation, up to the message `at`, into a new conversation.

        It is the path of `branch`, of the branch that wrote `at`, or of the current one. Copies
        keep their positions and times, and get other ids (`domain.forking`). The new
        conversation has the fields of `new`, but `forked_from` and `message_count` are computed.
        If it is there already, and was forked from the same place, it is returned.
        Raises `ConversationNotFoundError`, `BranchNotFoundError`; `MessageNotFoundError` for an
        `at` that is not on the path; `ConversationIdTakenError`.
        """
        ...

    async def append(  # noqa: PLR0913 - each is one independent part of the call
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
        """Append entries in order, all or none. Their messages have ids.

        They continue the current branch. With a `place`, they continue the branch that ends there,
        or else a new one, which becomes the current branch.

        The new positions are consecutive, and greater than any that the conversation ever had, even
        if the clock stops or goes back. `updated_at` becomes `at`, but never goes back.
        With `window`, also return the window of that limit after the append.
        A repeated append changes nothing and returns what is stored, whatever it expects. It is
        recognised by its `key`, and then returns the entries that still exist, in `View.ITEMS`, or
        in `View.MESSAGES` if no entry has an item; without items, it is also recognised by the ids
        of its messages (`domain.log.match_append`).
        Raises `ConversationNotFoundError`, `MessageNotFoundError` and `BranchNotFoundError` if
        there is no such `place`; `LimitExceededError` if it would start too many branches;
        `KeyTakenError` if the key was used with another digest;
        `MessageIdTakenError` if another message of the user has an id; `ItemIdTakenError` if an
        item of this conversation, or another one of `entries`, has an id.
        """
        ...

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
        """Return at most `limit` entries of `view` within `bounds`.

        They are those on the path of a branch; None is the current one, and `EVERY` all of them.
        `Order.ASC` returns the first of them, oldest first; `Order.DESC` the last, latest first.
        A native message may be several items: if `bounds.past_item` is one of those, the entry of
        that message comes first, in addition to `limit`.
        Raises `ConversationNotFoundError`; `MessageNotFoundError` and `ItemNotFoundError` for a
        bound that is not in this conversation; `BranchNotFoundError`.
        """
        ...

    async def branch_page(  # noqa: PLR0913 - each is one independent part of the question
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
        """Return a page of the messages on the path of a branch, each with the one before it.

        `view` is `MESSAGES` or `ORIGINALS`. Raises what `page` raises.
        """
        ...

    async def window(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        *,
        limit: int,
        branch: BranchNumber | None = None,
        max_bytes: int = NO_BOUND,
    ) -> Window:
        """Return the two ends of a branch: its head and its last `limit` messages.

        None is the current branch. If a context starts further back, also where it does.
        Each end has at most about half of `max_bytes`: larger ones have fewer messages, but the
        very last message is always included.
        Raises `ConversationNotFoundError`, `BranchNotFoundError`.
        """
        ...

    async def get(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        message_id: MessageId,
        *,
        original: bool = False,
    ) -> Message:
        """Return the message, with its original if `original`, or raise `MessageNotFoundError`."""
        ...

    async def position_since(
        self, user_id: UserId, conversation_id: ConversationId, at: datetime
    ) -> Position | None:
        """Return the position of the first message, of whatever branch, that is not before `at`.

        None if the last message is before it. Where an import has stored times out of order, it is
        a message that is not before `at`, right after one that is, or the first one.
        It takes about as many steps as the positions have bits, however many messages there are.
        """
        ...

    async def find(
        self, user_id: UserId, conversation_id: ConversationId, item_id: ItemId
    ) -> Sequence[Entry]:
        """Return the entries that an item with this id may belong to, in `View.ITEMS`.

        These are the entry with this item, and the native message that a generated id names.
        """
        ...

    async def calls_before(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        position: Position,
        call_ids: Collection[str],
    ) -> Mapping[str, bool]:
        """Return those of the tool calls that were made shortly before `position`, by id.

        The value says whether a custom tool was called. Of calls with the same id the last counts.
        """
        ...

    async def delete(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        message_id: MessageId,
        *,
        expected: int | None = None,
    ) -> int:
        """Delete the message, decrease `message_count`, and return the new revision.

        Raises `MessageNotFoundError`; `RetainedError` while its conversation is on hold.
        """
        ...

    async def delete_at(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        position: Position,
        *,
        expected: int | None = None,
    ) -> int | None:
        """Delete the entry at that position. Return the new revision; None if there was no entry.

        Raises `RetainedError` while its conversation is on hold.
        """
        ...

    async def put(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        message: NewMessage,
        at: datetime,
        *,
        expected: int | None = None,
    ) -> Stored:
        """Store a message under its id: at the end, or in place of the message with that id.

        A message that is replaced keeps its position and `created_at`; `edited_at` becomes `at`. It
        is not an item any more, in the form in which it was sent. An equal message changes nothing.
        `updated_at` changes as by an append, but not if a message is replaced.
        Raises `ConversationNotFoundError`; `MessageIdTakenError` if the id is that of a message of
        another conversation of the user; `RetainedError` if it would replace a message while the
        conversation is on hold.
        """
        ...

    async def patch(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        message_id: MessageId,
        patch: MessagePatch,
        *,
        expected: int | None = None,
    ) -> Stored:
        """Change the notes about a message, and return it.

        Of patches of different members at once, each takes effect. `edited_at` stays the same.
        Raises `MessageNotFoundError`; `LimitExceededError` if the metadata grow beyond the limit;
        `RetainedError` if it would change something while the conversation is on hold.
        """
        ...

    async def truncate(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        message_id: MessageId,
        *,
        keep: bool,
        expected: int | None = None,
    ) -> Truncated:
        """Delete all entries after the message, and the message itself unless `keep`.

        Their positions are never used again, and `updated_at` stays the same.
        Raises `MessageNotFoundError`; `RetainedError` while the conversation is on hold, unless
        there is nothing to delete.
        """
        ...

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
        """Replace everything after the message `after`, or the whole log, by `messages`.

        All or nothing, and only if the messages there are those of `suffix`, in that order. The
        new messages have ids, which may be those of replaced messages, and new positions. If the
        log already ends with equal messages there, nothing changes and these are returned, so the
        call can be repeated. With a `key` it can also be repeated after other changes: then those
        of its messages that still exist are returned. `updated_at` becomes `at`, but never goes
        back, unless `messages` are empty.
        Raises `ConversationNotFoundError`; `MessageNotFoundError` for `after`;
        `SuffixDiffersError`; `KeyTakenError` if the key was used with another digest;
        `MessageIdTakenError` if a message that stays, or another one of
        `messages`, has an id; `RetainedError` while the conversation is on hold, unless there is
        nothing to delete.
        """
        ...
