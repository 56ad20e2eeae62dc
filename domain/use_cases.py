"""The use cases of a caller. Each method does one thing that a chatbot needs, using the ports."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Final

from chatkeep.domain.around import AroundUseCase
from chatkeep.domain.audit_use_cases import AuditUseCases
from chatkeep.domain.branch_use_cases import BranchesPage, BranchMessagePage, BranchUseCases
from chatkeep.domain.branches import Place
from chatkeep.domain.context import Context, select
from chatkeep.domain.draft_use_cases import DraftUseCases
from chatkeep.domain.editing import MessagePatch, Replaced, Stored, Truncated
from chatkeep.domain.errors import (
    ConversationIdTakenError,
    InvalidValueError,
    UserNotFoundError,
)
from chatkeep.domain.event_use_cases import EventUseCases
from chatkeep.domain.events import CHANGES_KEPT
from chatkeep.domain.feed_use_cases import FeedUseCases
from chatkeep.domain.finding import (
    MAX_COUNTED,
    MAX_READ,
    MAX_SORTED,
    Filter,
    Found,
    LastSeen,
    MatchCount,
    Sort,
)
from chatkeep.domain.formats.expansion import expand
from chatkeep.domain.hub import Hub
from chatkeep.domain.ids import of_conversation, same_id
from chatkeep.domain.log import (
    EVERYTHING,
    Bounds,
    Created,
    RequestKey,
    View,
    assign_ids,
    entries_of,
    messages_in,
)
from chatkeep.domain.model import (
    EMPTY_OBJECT,
    UNSET,
    BranchNumber,
    Changes,
    Conversation,
    ConversationId,
    JsonText,
    Limits,
    Message,
    MessageId,
    NewMessage,
    Order,
    Position,
    Status,
    Unset,
    Usage,
    UserId,
    check_metadata,
    check_title,
    uuid7,
)
from chatkeep.domain.ports import Clock, Conversations, Events, Log, Search, Users
from chatkeep.domain.request_keys import keyed_conversation_id
from chatkeep.domain.search_use_cases import SearchUseCases
from chatkeep.domain.threads import run_aside
from chatkeep.domain.user_use_cases import UserListUseCase
from chatkeep.domain.window import Window

_original: Final = attrgetter("original")


@dataclass(frozen=True, slots=True)
class ConversationPage:
    """A page of conversations. `next` is the start of the following page; None on the last one."""

    items: tuple[Conversation, ...]
    next: LastSeen | None


@dataclass(frozen=True, slots=True)
class MessagePage:
    """A page of messages. `next` is the last position on it; None if it is the last page.

    `revision` is that of the conversation.
    """

    items: tuple[Message, ...]
    next: Position | None
    revision: int


@dataclass(frozen=True, slots=True)
class AppendResult:
    """The result of an append.

    `over_soft_limit` means that the conversation is longer than `soft_max_conversation_messages`.
    """

    messages: tuple[Message, ...]
    message_count: int
    revision: int
    over_soft_limit: bool
    context: Context | None
    branch: BranchNumber | None = None
    """The branch that they are in; None in a conversation without branches."""


@dataclass(frozen=True, slots=True)
class Chatkeep:
    """The whole service, without entrypoints and adapters.

    With `provision_users`, an unknown user is added at their first write.
    All methods raise `StoreUnavailableError` if the store cannot answer.
    """

    users: Users
    conversations: Conversations
    log: Log
    events: Events
    drafts: DraftUseCases
    search: Search
    audit: AuditUseCases
    clock: Clock
    limits: Limits = field(default_factory=Limits)
    provision_users: bool = True
    hub: Hub = field(default_factory=Hub)
    """Is notified of the changes of `conversations` and `log` in this process."""

    changes_kept: timedelta = CHANGES_KEPT

    async def create_conversation(  # noqa: PLR0913 - one for each field
        self,
        user_id: UserId,
        *,
        conversation_id: ConversationId | None = None,
        title: str | None = None,
        metadata: JsonText = EMPTY_OBJECT,
        messages: Sequence[NewMessage] = (),
        retain: bool = False,
        key: RequestKey | None = None,
    ) -> Created:
        """Create a conversation, with or without first messages.

        If the caller chose the id, or gave a `key`, the call can be repeated: it then returns what
        is stored. Raises `ConversationIdTakenError`, `KeyTakenError`, `MessageIdTakenError`,
        `UserNotProvisionedError`, and `InvalidValueError` or `LimitExceededError` naming the field.
        """
        at = self.clock.now()
        if key is not None and conversation_id is None:
            conversation_id = keyed_conversation_id(user_id, key.key)
        new = self._new_conversation(user_id, conversation_id, title, metadata, at, retain=retain)
        self._check_batch(messages)
        identified = assign_ids(messages, at, within=new.id, seed=conversation_id)
        return await self.log.create(
            new, entries_of(identified), key=key, provision=self.provision_users
        )

    async def get_or_create_conversation(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        *,
        title: str | None = None,
        metadata: JsonText = EMPTY_OBJECT,
        retain: bool = False,
    ) -> Created:
        """Return the conversation with that id unchanged, or create it.

        Raises `ConversationIdTakenError` for a UUID that is the key of a text id, and the reverse;
        `UserNotProvisionedError`, `LimitExceededError`.
        """
        at = self.clock.now()
        new = self._new_conversation(user_id, conversation_id, title, metadata, at, retain=retain)
        found = await self.conversations.get_or_create(new, provision=self.provision_users)
        if not same_id(found.conversation.id, conversation_id):
            raise ConversationIdTakenError(conversation_id)
        return found

    async def get_conversation(
        self, user_id: UserId, conversation_id: ConversationId
    ) -> Conversation:
        """Return the conversation. Raises `ConversationNotFoundError`."""
        return await self.conversations.get(user_id, conversation_id)

    async def list_conversations(
        self,
        user_id: UserId,
        *,
        status: Status | None = None,
        after: LastSeen | None = None,
        limit: int = 20,
    ) -> ConversationPage:
        """Return a page of the user's conversations, latest activity first.

        Raises `LimitExceededError` for a `limit` over `max_page`.
        """
        self._check_page(limit)
        found = await self.conversations.list(
            user_id, status=status, after=after, limit=limit, max_bytes=self.limits.max_bytes
        )
        items = tuple(found.items)
        return ConversationPage(
            items, LastSeen(items[-1].updated_at, items[-1].id) if found.more else None
        )

    async def find_conversations(
        self,
        user_id: UserId,
        wanted: Filter,
        *,
        sort: Sort = Sort.UPDATED,
        after: LastSeen | None = None,
        limit: int = 20,
    ) -> Found:
        """Return a page of the user's conversations that match, latest first.

        It reads at most `MAX_READ` conversations; then it returns those that it found.
        Raises `InvalidValueError` for a filter that is too large and, by creation, for more than
        `MAX_SORTED` conversations; `LimitExceededError` for a `limit` over `max_page`.
        """
        self._check_page(limit)
        wanted.check()
        return await self.conversations.find(
            user_id,
            wanted,
            sort=sort,
            after=after,
            limit=limit,
            max_read=MAX_READ if sort is Sort.UPDATED else MAX_SORTED,
            max_bytes=self.limits.max_bytes,
        )

    async def count_conversations(self, user_id: UserId, wanted: Filter) -> MatchCount:
        """Count the user's conversations that match, reading at most `MAX_COUNTED`.

        Raises `InvalidValueError` for a filter that is too large.
        """
        wanted.check()
        return await self.conversations.count(user_id, wanted, max_read=MAX_COUNTED)

    async def change_conversation(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        changes: Changes,
        *,
        expected: int | None = None,
    ) -> Conversation:
        """Change the title, status or metadata, set a hold or lift it.

        Raises `ConversationNotFoundError`, `LimitExceededError`, `RevisionConflictError`.
        """
        if not isinstance(changes.title, Unset):
            check_title(changes.title, self.limits)
        if not isinstance(changes.metadata, Unset):
            check_metadata(changes.metadata, self.limits)
        return await self.conversations.change(user_id, conversation_id, changes, expected=expected)

    async def delete_conversation(
        self, user_id: UserId, conversation_id: ConversationId, *, expected: int | None = None
    ) -> None:
        """Delete the conversation with all its messages.

        Raises `ConversationNotFoundError`, `RetainedError`, `RevisionConflictError`.
        """
        await self.conversations.delete(user_id, conversation_id, expected=expected)

    async def append(  # noqa: PLR0913 - each is one independent part of the call
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        messages: Sequence[NewMessage],
        *,
        key: RequestKey | None = None,
        expected: int | None = None,
        context_limit: int | None = None,
        max_chars: int | None = None,
        max_tokens: int | None = None,
        for_model: bool = True,
        place: Place | None = None,
    ) -> AppendResult:
        """Add messages at the end, all or none. With `context_limit`, also return a context.

        They continue the current branch, or what `place` says (`Log.append`). The context is made
        as `context` does.

        If the caller chose an id, or gave a `key`, the call can be repeated: it then returns what
        is stored. Raises `ConversationNotFoundError`, `KeyTakenError`, `MessageIdTakenError`,
        `RevisionConflictError`, `MessageNotFoundError` and `BranchNotFoundError` if there is no
        such place, and `InvalidValueError` or `LimitExceededError` naming the field.
        """
        if not messages:
            raise InvalidValueError("messages", "is empty; give at least one message")
        if len(messages) == 1:
            messages[0].check(self.limits)
        else:
            self._check_batch(messages)
        if context_limit is not None:
            self._check_page(context_limit, field="context")
        at = self.clock.now()
        appended = await self.log.append(
            user_id,
            conversation_id,
            entries_of(assign_ids(messages, at, within=conversation_id)),
            at,
            key=key,
            expected=expected,
            window=context_limit,
            place=place,
            max_bytes=self.limits.max_bytes,
        )
        soft_limit = self.limits.soft_max_conversation_messages
        return AppendResult(
            messages=appended.messages,
            message_count=appended.message_count,
            revision=appended.revision,
            branch=appended.branch,
            over_soft_limit=0 < soft_limit < appended.message_count,
            context=None
            if appended.window is None
            else await _select(appended.window, max_chars, max_tokens, for_model=for_model),
        )

    async def history(  # noqa: PLR0913 - each is one independent part of the question
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        *,
        bounds: Bounds = EVERYTHING,
        order: Order = Order.ASC,
        limit: int = 20,
        originals: bool = False,
    ) -> MessagePage:
        """Return a page of the messages within `bounds`, in `order`.

        With `originals`, the messages come with their originals.

        Raises `ConversationNotFoundError`, `MessageNotFoundError` for a bound that is not a message
        of this conversation, `LimitExceededError` for a `limit` over `max_page`.
        """
        self._check_page(limit)
        found = await self.log.page(
            user_id,
            conversation_id,
            bounds,
            view=View.ORIGINALS if originals else View.MESSAGES,
            order=order,
            limit=limit,
            max_bytes=self.limits.max_bytes,
        )
        items = messages_in(found.items)
        return MessagePage(items, items[-1].position if found.more else None, found.revision)

    async def context(  # noqa: PLR0913 - each is one independent part of the question
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        *,
        limit: int = 20,
        max_chars: int | None = None,
        max_tokens: int | None = None,
        for_model: bool = True,
        branch: BranchNumber | None = None,
    ) -> Context:
        """Return the messages to hand to the model next: see `domain.context.select`.

        They are from the current branch, or from `branch`.
        With `for_model`, messages that a model cannot take as they are become those that it can
        take: see `formats.expansion.expand`.
        Raises `ConversationNotFoundError`, `BranchNotFoundError`, `LimitExceededError` for a
        `limit` over `max_page`.
        """
        self._check_page(limit)
        window = await self.log.window(
            user_id,
            conversation_id,
            limit=limit,
            branch=branch,
            max_bytes=self.limits.max_bytes,
        )
        return await _select(window, max_chars, max_tokens, for_model=for_model)

    async def fork_conversation(  # noqa: PLR0913 - one for each field
        self,
        user_id: UserId,
        source: ConversationId,
        *,
        conversation_id: ConversationId | None = None,
        title: str | Unset | None = UNSET,
        metadata: JsonText | Unset = UNSET,
        at: MessageId | None = None,
        branch: BranchNumber | None = None,
    ) -> Created:
        """Copy a path of a conversation into a new one: see `Log.fork`.

        The new one has the source's title and metadata unless others are given, and no hold. If the
        caller chose the id, the call can be repeated.
        Raises `ConversationNotFoundError`, `MessageNotFoundError`, `BranchNotFoundError`,
        `ConversationIdTakenError`, and `LimitExceededError` naming the field.
        """
        found = await self.conversations.get(user_id, source)
        new = self._new_conversation(
            user_id,
            conversation_id,
            None if isinstance(title, Unset) else title,
            EMPTY_OBJECT if isinstance(metadata, Unset) else metadata,
            self.clock.now(),
            retain=False,
        )
        new = new._replace(
            title=found.title if isinstance(title, Unset) else title,
            metadata=found.metadata if isinstance(metadata, Unset) else metadata,
        )
        return await self.log.fork(user_id, source, new, at=at, branch=branch)

    async def branch_history(  # noqa: PLR0913 - each is one independent part of the question
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        branch: BranchNumber,
        *,
        bounds: Bounds = EVERYTHING,
        order: Order = Order.ASC,
        limit: int = 20,
        originals: bool = False,
    ) -> BranchMessagePage:
        """Return a page of a branch, or of all with `EVERY`, with the parent of each message.

        Raises `BranchNotFoundError`, and what `history` raises.
        """
        self._check_page(limit)
        return await self.branches.history(
            user_id,
            conversation_id,
            branch,
            bounds=bounds,
            order=order,
            limit=limit,
            originals=originals,
        )

    async def list_branches(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        *,
        after: BranchNumber | None = None,
        limit: int = 20,
    ) -> BranchesPage:
        """Return a page of the branches, by number.

        Raises `ConversationNotFoundError`, `LimitExceededError` for a `limit` over `max_page`.
        """
        self._check_page(limit)
        return await self.branches.list(user_id, conversation_id, after=after, limit=limit)

    @property
    def opening(self) -> AroundUseCase:
        return AroundUseCase(self.conversations, self.log, self.limits)

    @property
    def searches(self) -> SearchUseCases:
        return SearchUseCases(self.search, self.log, self.limits)

    @property
    def user_list(self) -> UserListUseCase:
        return UserListUseCase(self.users, self.limits)

    @property
    def branches(self) -> BranchUseCases:
        return BranchUseCases(self.log, self.limits)

    @property
    def live(self) -> EventUseCases:
        return EventUseCases(
            self.events, self.branches, self.drafts, self.hub, self.clock, self.changes_kept
        )

    @property
    def feed(self) -> FeedUseCases:
        return FeedUseCases(self.live, self.conversations)

    async def get_message(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        message_id: MessageId,
        *,
        original: bool = False,
    ) -> Message:
        """Return the message, with its original if `original`. Raises `MessageNotFoundError`."""
        return await self.log.get(user_id, conversation_id, message_id, original=original)

    async def delete_message(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        message_id: MessageId,
        *,
        expected: int | None = None,
    ) -> int:
        """Delete the message, and return the new revision of its conversation.

        Raises `MessageNotFoundError`, `RetainedError`, `RevisionConflictError`.
        """
        return await self.log.delete(user_id, conversation_id, message_id, expected=expected)

    async def put_message(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        message: NewMessage,
        *,
        expected: int | None = None,
    ) -> Stored:
        """Store a message under its id: at the end, or in place of the message with that id.

        Raises `ConversationNotFoundError`, `MessageIdTakenError`, `RetainedError`,
        `RevisionConflictError`, and `InvalidValueError` or `LimitExceededError` naming the field.
        """
        message.check(self.limits)
        if message.id is not None:
            message = message._replace(id=of_conversation(conversation_id, message.id))
        return await self.log.put(
            user_id, conversation_id, message, self.clock.now(), expected=expected
        )

    async def patch_message(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        message_id: MessageId,
        patch: MessagePatch,
        *,
        expected: int | None = None,
    ) -> Stored:
        """Change the metadata or the number of tokens of a message.

        Raises `MessageNotFoundError`, `RetainedError`, `RevisionConflictError`, and
        `InvalidValueError` or `LimitExceededError` naming the field.
        """
        patch.check()
        patch = replace(patch, limits=self.limits)
        return await self.log.patch(user_id, conversation_id, message_id, patch, expected=expected)

    async def truncate(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        message_id: MessageId,
        *,
        keep: bool,
        expected: int | None = None,
    ) -> Truncated:
        """Delete everything after the message, and the message itself unless `keep`.

        Raises `MessageNotFoundError`, `RetainedError`, `RevisionConflictError`.
        """
        return await self.log.truncate(
            user_id, conversation_id, message_id, keep=keep, expected=expected
        )

    async def replace(  # noqa: PLR0913 - each is one independent part of the call
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        messages: Sequence[NewMessage],
        *,
        after: MessageId | None,
        suffix: Sequence[MessageId],
        key: RequestKey | None = None,
        expected: int | None = None,
    ) -> Replaced:
        """Replace everything after a message, or the whole log, if it is the messages of `suffix`.

        If the caller chose an id, or gave a `key`, the call can be repeated: it then returns what
        is stored. Raises `ConversationNotFoundError`, `MessageNotFoundError`, `SuffixDiffersError`,
        `KeyTakenError`, `MessageIdTakenError`, `RetainedError`, `RevisionConflictError`, and
        `InvalidValueError` or `LimitExceededError` naming the field.
        """
        self._check_batch(messages)
        at = self.clock.now()
        return await self.log.replace(
            user_id,
            conversation_id,
            after,
            suffix,
            assign_ids(messages, at, within=conversation_id),
            at,
            key=key,
            expected=expected,
        )

    async def usage(self, user_id: UserId) -> Usage:
        return await self.users.usage(user_id)

    async def provision_user(self, user_id: UserId) -> bool:
        """Add the user if they do not exist. Return whether they are new."""
        return await self.users.add(user_id)

    async def erasable(self, user_id: UserId, *, even_retained: bool = False) -> Usage:
        """Return the usage that `erase_user` would delete now. Raises the same errors."""
        found = await self.users.erasable(user_id, even_retained=even_retained)
        if found is None:
            raise UserNotFoundError(user_id)
        return found

    async def erase_me(self, user_id: UserId) -> None:
        """Delete the caller and everything they own, if there is anything.

        Raises `UserRetainedError`, and deletes nothing, while one of their conversations is on
        hold.
        """
        await self.users.erase(user_id)

    async def erase_user(self, user_id: UserId, *, even_retained: bool = False) -> Usage:
        """Delete a user and everything they own. Return the deleted usage.

        Raises `UserNotFoundError`. Raises `UserRetainedError`, and deletes nothing, while one of
        their conversations is on hold, unless `even_retained`.
        """
        erased = await self.users.erase(user_id, even_retained=even_retained)
        if erased is None:
            raise UserNotFoundError(user_id)
        return erased

    def _new_conversation(  # noqa: PLR0913 - one for each field
        self,
        user_id: UserId,
        conversation_id: ConversationId | None,
        title: str | None,
        metadata: JsonText,
        at: datetime,
        *,
        retain: bool,
    ) -> Conversation:
        check_title(title, self.limits)
        check_metadata(metadata, self.limits)
        return Conversation(
            id=conversation_id or ConversationId(uuid7(at)),
            user_id=user_id,
            title=title,
            status=Status.ACTIVE,
            metadata=metadata,
            message_count=0,
            created_at=at,
            updated_at=at,
            retain=retain,
        )

    def _check_batch(self, messages: Sequence[NewMessage]) -> None:
        self.limits.check("max_batch", len(messages), field="messages", unit="messages")
        ids = set()
        for index, message in enumerate(messages):
            message.check(self.limits, within=f"messages[{index}].")
            if message.id is not None:
                if message.id in ids:
                    raise InvalidValueError(f"messages[{index}].id", "duplicate id in this batch")
                ids.add(message.id)

    def _check_page(self, limit: int, *, field: str = "limit") -> None:
        if limit < 1:
            raise InvalidValueError(field, f"is {limit}; at least 1")
        self.limits.check("max_page", limit, field=field, unit="items")


async def _select(
    window: Window, max_chars: int | None, max_tokens: int | None, *, for_model: bool
) -> Context:
    """Return the context of a window. Large originals are read in a thread."""
    if not for_model or not (any(map(_original, window.tail)) or any(map(_original, window.head))):
        return select(window, max_chars=max_chars, max_tokens=max_tokens)
    size = sum(len(each.original or "") for each in (*window.head, *window.tail))
    return await run_aside(
        size, lambda: select(expand(window), max_chars=max_chars, max_tokens=max_tokens)
    )
