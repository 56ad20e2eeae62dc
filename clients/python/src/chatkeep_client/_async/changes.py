"""Changes of messages: put, patch, delete, truncate, replace."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import UNSET, UnsetType

from chatkeep_client._async.sending import AsyncSender
from chatkeep_client._requests import (
    Request,
    conditions,
    conversation,
    given,
    into,
    revision_of,
    segment,
    uuid7,
)
from chatkeep_client.models import MessageInput, Replaced, StoredMessage, Truncated

_stored = into(StoredMessage)
_truncated = into(Truncated)
_replaced = into(Replaced)


class AsyncChanges(AsyncSender):
    """The routes that change what was said. All raise `RetainedError` on hold."""

    async def put_message(
        self,
        conversation_id: str,
        message_id: str,
        message: MessageInput,
        *,
        expected_revision: int | None = None,
    ) -> StoredMessage:
        """Append a message under its id, or replace all fields of the one that has it.

        A replaced message keeps its place. An equal one changes nothing. Raises `NotFoundError`,
        `IdTakenError`, `RetainedError`, `LimitExceededError` and `RevisionConflictError`.
        """
        return await self._send(
            Request(
                "PUT",
                conversation(conversation_id, "messages", segment(message_id)),
                _stored,
                headers=conditions(expected_revision),
                body=message,
            )
        )

    async def patch_message(
        self,
        conversation_id: str,
        message_id: str,
        *,
        metadata: Mapping[str, Any] | UnsetType | None = UNSET,
        tokens: int | UnsetType | None = UNSET,
        expected_revision: int | None = None,
    ) -> StoredMessage:
        """Merge `metadata` into those of a message (RFC 7396: None removes), or set `tokens`.

        Raises `NotFoundError`, `RetainedError`, `LimitExceededError` and `RevisionConflictError`.
        """
        return await self._send(
            Request(
                "PATCH",
                conversation(conversation_id, "messages", segment(message_id)),
                _stored,
                headers=conditions(expected_revision),
                body=given(metadata=metadata, tokens=tokens),
            )
        )

    async def delete_message(
        self, conversation_id: str, message_id: str, *, expected_revision: int | None = None
    ) -> int | None:
        """Delete a message permanently. Return the revision.

        It is None if a repeated request found the message gone. Raises `NotFoundError`,
        `RetainedError` and `RevisionConflictError`.
        """
        return await self._send(
            Request(
                "DELETE",
                conversation(conversation_id, "messages", segment(message_id)),
                revision_of,
                headers=conditions(expected_revision),
                if_gone=revision_of,
            )
        )

    async def truncate_messages(
        self,
        conversation_id: str,
        *,
        after: str | None = None,
        start: str | None = None,
        expected_revision: int | None = None,
    ) -> Truncated:
        """Delete all that is `after` a message, or what begins with the message `start`.

        With `start` it is not sent again if it may have been carried out. Raises `NotFoundError`,
        `RetainedError`, `WrongBranchError` and `RevisionConflictError`.
        """
        return await self._send(
            Request(
                "DELETE",
                conversation(conversation_id, "messages"),
                _truncated,
                query={"after": after, "from": start},
                headers=conditions(expected_revision),
                repeat="always" if start is None else "if refused",
            )
        )

    async def replace_messages(
        self,
        conversation_id: str,
        messages: Iterable[MessageInput],
        *,
        after: str | None,
        expected: Sequence[str],
        expected_revision: int | None = None,
        idempotency_key: str | None = None,
    ) -> Replaced:
        """Delete what is after a message (None: everything) and append others, all or nothing.

        Nothing changes unless the ids of the messages there are the `expected` ones, in order:
        `SuffixDiffersError`. Without an `idempotency_key` it gets one, so that it is safe to send
        again. Raises `NotFoundError`, `RetainedError`, `WrongBranchError`, `IdTakenError`,
        `LimitExceededError` and `RevisionConflictError`.
        """
        headers = conditions(expected_revision) or {}
        headers["Idempotency-Key"] = idempotency_key or uuid7()
        body = {"after": after, "expected": list(expected), "messages": list(messages)}
        return await self._send(
            Request(
                "PUT",
                conversation(conversation_id, "messages"),
                _replaced,
                headers=headers,
                body=body,
            )
        )
