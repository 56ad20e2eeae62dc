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

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from chatkeep.domain.branches import Place, Range, Tree
from chatkeep.domain.context import Window
from chatkeep.domain.editing import MessagePatch, Replaced, Stored, Truncated
from chatkeep.domain.finding import Filter, Found, LastSeen, MatchCount, Sort
from chatkeep.domain.idle import Cutoffs, IdleConversation, SweepResult
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
    Changes,
    Conversation,
    ConversationId,
    Message,
    MessageId,
    NewMessage,
    Order,
    Position,
    Status,
    Usage,
    UserId,
)
from chatkeep.domain.pages import NO_BOUND, Page

MAX_NAMED: Final = 5
"""The most conversations on hold that an error about an erasure names."""


class Clock(Protocol):
    def now(self) -> datetime:
        """Return the time in UTC, to the microsecond. It may stand still or jump back."""
        ...


class Users(Protocol):
    async def add(self, user_id: UserId) -> bool:
        """Add the user if they do not exist. Return whether they are new.

        Raises `UserNotProvisionedError` if the users table does not accept them.
        """
        ...

    async def usage(self, user_id: UserId) -> Usage:
        """Return how much the user has stored: zeros for an unknown user."""
        ...

    async def erasable(self, user_id: UserId, *, even_retained: bool = False) -> Usage | None:
        """Return or raise what `erase` would now, without deleting anything."""
        ...

    async def erase(self, user_id: UserId, *, even_retained: bool = False) -> Usage | None:
        """Delete the user and everything they own. Return the deleted usage; None if unknown.

        Raises `UserRetainedError`, and deletes nothing, while one of their conversations is on
        hold, unless `even_retained`.
        """
        ...


class Conversations(Protocol):
    async def get_or_create(self, conversation: Conversation, *, provision: bool) -> Created:
        """Return the user's conversation with that id, or store this one, which has no messages.

        Raises `UserNotProvisionedError` like `Log.create`.
        """
        ...

    async def get(self, user_id: UserId, conversation_id: ConversationId) -> Conversation:
        """Return the conversation, or raise `ConversationNotFoundError`."""
        ...

    async def list(
        self,
        user_id: UserId,
        *,
        status: Status | None,
        after: LastSeen | None,
        limit: int,
        max_bytes: int = NO_BOUND,
    ) -> Page[Conversation]:
        """Return at most `limit` conversations, by latest activity and id, both descending.

        `status` and `after`, if given, restrict the list to that status and to later elements.
        """
        ...

    async def find(  # noqa: PLR0913 - each is one independent part of the question
        self,
        user_id: UserId,
        wanted: Filter,
        *,
        sort: Sort = Sort.UPDATED,
        after: LastSeen | None,
        limit: int,
        max_read: int,
        max_bytes: int = NO_BOUND,
    ) -> Found:
        """Return at most `limit` conversations that match, by that time and id, both descending.

        By `updated_at`, it reads at most about `max_read` conversations after `after`, whether they
        match or not. If it stops there, it returns what it found, and `next`: following `next` to
        its end finds every match once. By `created_at`, it reads all conversations within the times
        of `wanted`, and raises `InvalidValueError` if these are more than `max_read`.
        A value of `wanted.metadata` matches an equal string, and the number, boolean or null that
        the same text is in JSON; numbers are compared by value.
        """
        ...

    async def count(self, user_id: UserId, wanted: Filter, *, max_read: int) -> MatchCount:
        """Count the conversations that match.

        If more than `max_read` are within the times of `wanted`, it counts among the `max_read`
        with the latest activity, and the count is not exact.
        """
        ...

    async def change(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        changes: Changes,
        *,
        expected: int | None = None,
    ) -> Conversation:
        """Apply the changes and return the conversation, or raise `ConversationNotFoundError`."""
        ...

    async def delete(
        self, user_id: UserId, conversation_id: ConversationId, *, expected: int | None = None
    ) -> None:
        """Delete the conversation with everything in it.

        Raises `ConversationNotFoundError`; `RetainedError` while it is on hold.
        """
        ...


class Branches(Protocol):
    """The branches of logs. A conversation that never branched has one, `branches.MAIN`."""

    async def tree(self, user_id: UserId, conversation_id: ConversationId) -> Tree:
        """Return all branches of the conversation. Raises `ConversationNotFoundError`."""
        ...

    async def ends(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        paths: Sequence[Sequence[Range]],
        order: Order,
    ) -> Sequence[tuple[Position, MessageId] | None]:
        """Return the first message of each path in `order`; None for a path without messages."""
        ...

    async def change_branches(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        change: Callable[[Tree], Tree],
        *,
        expected: int | None = None,
    ) -> Tree:
        """Replace the branches with what `change` makes of them, and return that.

        `change` keeps every branch, and may be called several times. It is not activity:
        `updated_at` stays the same. Raises `ConversationNotFoundError`, and what `change` raises.
        """
        ...

    async def delete_branch(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        number: BranchNumber,
        *,
        expected: int | None = None,
    ) -> int:
        """Delete a branch with the entries that no other branch shares (`Tree.remove`).

        Return the revision of the conversation.

        Raises `ConversationNotFoundError`, `BranchNotFoundError`; `BranchIsCurrentError` for the
        current branch; `RetainedError` while the conversation is on hold.
        """
        ...


class Log(Branches, Protocol):
    """The logs of conversations: one ordered list of entries for each.

    The original of a message comes back byte for byte. Results of `create` and `append` have it;
    pages only in `View.ORIGINALS` and `View.WHOLE`, windows only where a context is made from it
    (`domain.context.for_window`).

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
        there is no such `place`; `KeyTakenError` if the key was used with another digest;
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

        None is the current branch.
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


class Sweeps(Protocol):
    """Sweeps over every user's conversations. One on hold (`retain`) is never deleted.

    Calls that change conversations check again, at the moment of the change, that each is still
    idle and not on hold, and skip those that another transaction is changing.
    Raises `StoreUnavailableError` when the store cannot answer; the same call may be made again.
    """

    async def count(self, cutoffs: Cutoffs) -> SweepResult:
        """Return what a sweep would do now, and how many on hold it would skip."""
        ...

    async def to_delete(self, before: datetime, *, limit: int) -> Sequence[IdleConversation]:
        """Return up to `limit` conversations of any status idle since before then, in any order."""
        ...

    async def to_archive(self, before: datetime, *, limit: int) -> Sequence[IdleConversation]:
        """Return up to `limit` active conversations idle since before then, in any order."""
        ...

    async def delete(self, idle: Sequence[IdleConversation], before: datetime) -> SweepResult:
        """Delete those that are still idle since before then, with everything in them."""
        ...

    async def archive(self, idle: Sequence[IdleConversation], before: datetime) -> SweepResult:
        """Archive those that are still active and idle since before then."""
        ...


class SweepSchedule(Protocol):
    """Records the daily sweeps of the service, so that only one process runs each."""

    async def claim(self, due: datetime, at: datetime) -> bool:
        """Claim the sweep due at `due`. Return False if another process already claimed it."""
        ...

    async def finish(self, due: datetime, at: datetime, swept: SweepResult) -> None:
        """Record the result of the sweep due at `due`, which ended at `at`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """All the ports that one adapter keeps data behind, over the same data."""

    users: Users
    conversations: Conversations
    log: Log
    sweeps: Sweeps
    sweep_schedule: SweepSchedule
