"""The use cases of messages: append, read, edit and delete them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from chatkeep.domain.context import Context
from chatkeep.domain.editing import MessagePatch, Replaced, Stored, Truncated
from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.ids import of_conversation
from chatkeep.domain.log import RequestKey, assign_ids, entries_of
from chatkeep.domain.model import (
    BranchNumber,
    ConversationId,
    Message,
    MessageId,
    NewMessage,
    UserId,
)
from chatkeep.domain.places import Place
from chatkeep.domain.reading_use_cases import select_context
from chatkeep.domain.use_case_base import UseCases


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


class MessageUseCases(UseCases):
    __slots__ = ()

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
            self.check_batch(messages)
        if context_limit is not None:
            self.limits.check_page(context_limit, field="context")
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
            else await select_context(appended.window, max_chars, max_tokens, for_model=for_model),
        )

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
        self.check_batch(messages)
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
