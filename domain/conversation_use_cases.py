"""The use cases of conversations: create, find, change, fork and delete them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from chatkeep.domain.errors import ConversationIdTakenError
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
from chatkeep.domain.ids import same_id
from chatkeep.domain.log import Created, RequestKey, assign_ids, entries_of
from chatkeep.domain.model import (
    EMPTY_OBJECT,
    UNSET,
    BranchNumber,
    Changes,
    Conversation,
    ConversationId,
    JsonText,
    MessageId,
    NewMessage,
    Status,
    Unset,
    UserId,
    check_metadata,
    check_title,
    uuid7,
)
from chatkeep.domain.request_keys import keyed_conversation_id
from chatkeep.domain.use_case_base import UseCases


@dataclass(frozen=True, slots=True)
class ConversationPage:
    """A page of conversations. `next` is the start of the following page; None on the last one."""

    items: tuple[Conversation, ...]
    next: LastSeen | None


class ConversationUseCases(UseCases):
    __slots__ = ()

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
        self.check_batch(messages)
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
        self.limits.check_page(limit)
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
        self.limits.check_page(limit)
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

    async def delete_conversation(
        self, user_id: UserId, conversation_id: ConversationId, *, expected: int | None = None
    ) -> None:
        """Delete the conversation with all its messages.

        Raises `ConversationNotFoundError`, `RetainedError`, `RevisionConflictError`.
        """
        await self.conversations.delete(user_id, conversation_id, expected=expected)

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
