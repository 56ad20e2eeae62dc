# Written by sync_from_async.py from _async/messages.py; change that file.
"""Messages: append them, read them, and get the context for a model."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Literal

from msgspec import UNSET, UnsetType

from chatkeep_client._requests import (
    Request,
    as_list,
    conditions,
    conversation,
    decode_ui_message,
    into,
    repeatable,
    segment,
)
from chatkeep_client._sync.sending import Sender
from chatkeep_client.models import (
    Appended,
    Context,
    ContextFormat,
    Message,
    MessageInput,
    MessagePage,
    Order,
    UIMessagePage,
)

_appended = into(Appended)
_page = into(MessagePage)
_ui_page = into(UIMessagePage)
_message = into(Message)
_context = into(Context)


class Messages(Sender):
    """The routes that append and read messages."""

    def append_messages(
        self,
        conversation_id: str,
        messages: MessageInput | Iterable[MessageInput],
        *,
        after: str | UnsetType | None = UNSET,
        branch: int | None = None,
        context: int | None = None,
        max_chars: int | None = None,
        max_tokens: int | None = None,
        format: ContextFormat = "openai",  # noqa: A002 - the word on the wire
        expected_revision: int | None = None,
        idempotency_key: str | None = None,
    ) -> Appended:
        """Append one message or several, all or none; with `context` also return what a model gets.

        - `messages`: dicts or `NewMessage`s. Where none has an id, one gets a UUID, so that it is
          safe to send the request again; or give an `idempotency_key`.
        - `after`: the message to continue from (None: before the first one). If it is not the last
          one of a branch, a new branch starts. `branch`: append at the end of that branch instead.
        - `context`: the most messages of the context, with `max_chars`, `max_tokens` and `format`
          like those of `get_context`.

        Raises `NotFoundError`; `LimitExceededError`; `InvalidValueError`; `IdTakenError` if an id
        is that of another message; `RevisionConflictError` if the conversation is not at
        `expected_revision`.
        """
        sent, headers = repeatable(
            as_list(messages), idempotency_key, conditions(expected_revision)
        )
        body: dict[str, Any] = {"messages": sent}
        if after is not UNSET:
            body["after"] = after
        query: dict[str, object] | None = None
        if context is not None or branch is not None:
            query = {
                "context": context,
                "max_chars": max_chars,
                "max_tokens": max_tokens,
                "format": format,
                "branch": branch,
            }
        return self._send(
            Request(
                "POST",
                conversation(conversation_id, "messages"),
                _appended,
                query=query,
                headers=headers,
                body=body,
            )
        )

    def get_history(
        self,
        conversation_id: str,
        *,
        limit: int = 20,
        order: Order | None = None,
        cursor: str | None = None,
        after: str | None = None,
        before: str | None = None,
        around: str | None = None,
        around_time: datetime | str | None = None,
        originals: bool = False,
        branch: int | Literal["all"] | None = None,
        expected_revision: int | None = None,
        known_revision: int | None = None,
    ) -> MessagePage:
        """Return a page of the messages, oldest first, or latest first with `order="desc"`.

        Only those `after` and `before` the messages with these ids; a `cursor` contains that, the
        order and the branch. `around` a message, half of the page is before it, and the page has a
        `previous_cursor` too; `around_time` likewise, around the first one that is not before it.
        With a `branch`, or all of them, each message has its `parent_id` and `branch`. Raises
        `NotFoundError`; `RevisionConflictError` if the conversation is not at `expected_revision`;
        `NotModifiedError` if it is still at `known_revision`.
        """
        query = {
            "limit": limit,
            "order": order,
            "cursor": cursor,
            "after": after,
            "before": before,
            "around": around,
            "around_time": around_time,
            "originals": originals,
            "branch": branch,
        }
        return self._send(
            Request(
                "GET",
                conversation(conversation_id, "messages"),
                _page,
                query=query,
                headers=conditions(expected_revision, known_revision),
            )
        )

    def iter_history(
        self,
        conversation_id: str,
        *,
        order: Order = "asc",
        after: str | None = None,
        before: str | None = None,
        originals: bool = False,
        branch: int | Literal["all"] | None = None,
        page_size: int = 100,
    ) -> Iterator[Message]:
        """Yield all messages, as `get_history` returns them in pages."""
        page = self.get_history(
            conversation_id,
            limit=page_size,
            order=order,
            after=after,
            before=before,
            originals=originals,
            branch=branch,
        )
        while True:
            yield from page.items
            if page.next_cursor is None:
                return
            page = self.get_history(
                conversation_id, limit=page_size, cursor=page.next_cursor, originals=originals
            )

    def get_ui_history(
        self,
        conversation_id: str,
        *,
        limit: int = 20,
        order: Order | None = None,
        cursor: str | None = None,
        after: str | None = None,
        before: str | None = None,
        branch: int | Literal["all"] | None = None,
    ) -> UIMessagePage:
        """Return what `get_history` does as UIMessages of the AI SDK, for a page with `useChat`."""
        query = {
            "limit": limit,
            "order": order,
            "cursor": cursor,
            "after": after,
            "before": before,
            "branch": branch,
            "format": "ai-sdk",
        }
        path = conversation(conversation_id, "messages")
        return self._send(Request("GET", path, _ui_page, query=query))

    def get_message(
        self, conversation_id: str, message_id: str, *, originals: bool = False
    ) -> Message:
        """Return one message, with its `original` if that is requested. Raises `NotFoundError`."""
        path = conversation(conversation_id, "messages", segment(message_id))
        return self._send(Request("GET", path, _message, query={"originals": originals}))

    def get_ui_message(self, conversation_id: str, message_id: str) -> dict[str, Any]:
        """Return one message as a UIMessage of the AI SDK. Raises `NotFoundError`."""
        path = conversation(conversation_id, "messages", segment(message_id))
        query = {"format": "ai-sdk"}
        return self._send(Request("GET", path, decode_ui_message, query=query))

    def get_context(
        self,
        conversation_id: str,
        *,
        limit: int = 20,
        max_chars: int | None = None,
        max_tokens: int | None = None,
        format: ContextFormat = "openai",  # noqa: A002 - the word on the wire
        branch: int | None = None,
        expected_revision: int | None = None,
        known_revision: int | None = None,
    ) -> Context:
        """Return the last `limit` messages as a valid request to a model, in its `format`.

        Opening system and developer messages come first; calls of tools and their results come in
        pairs or not at all. `max_chars` and `max_tokens` leave out older messages. Raises
        `NotFoundError`; `RevisionConflictError` if the conversation is not at `expected_revision`;
        `NotModifiedError` if it is still at `known_revision`.
        """
        query = {
            "limit": limit,
            "max_chars": max_chars,
            "max_tokens": max_tokens,
            "format": format,
            "branch": branch,
        }
        return self._send(
            Request(
                "GET",
                conversation(conversation_id, "context"),
                _context,
                query=query,
                headers=conditions(expected_revision, known_revision),
            )
        )
