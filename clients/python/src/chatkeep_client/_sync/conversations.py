# Written by sync_from_async.py from _async/conversations.py; change that file.
"""Conversations: create, find, change, delete."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Literal

import httpx
from msgspec import UNSET, UnsetType

from chatkeep_client._requests import (
    Request,
    conditions,
    conversation,
    given,
    into,
    metadata_filters,
    nothing,
    uuid7,
)
from chatkeep_client._sync.sending import Sender
from chatkeep_client.errors import IncompleteExportError
from chatkeep_client.models import (
    Conversation,
    ConversationPage,
    CreatedConversation,
    FoundConversation,
    MessageInput,
    Sort,
    Status,
)

_ALL = "/v1/conversations"

_created = into(CreatedConversation)
_found = into(FoundConversation)
_conversation = into(Conversation)
_page = into(ConversationPage)


class Conversations(Sender):
    """The routes of conversations."""

    def create_conversation(
        self,
        *,
        conversation_id: str | None = None,
        title: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        messages: Iterable[MessageInput] = (),
        retain: bool | UnsetType = UNSET,
        idempotency_key: str | None = None,
    ) -> CreatedConversation:
        """Create a conversation, with its first messages if you like, all or nothing.

        Without `conversation_id` it gets a UUID. An equal conversation that exists under the id is
        returned as it is; another one raises `IdTakenError`. `retain` puts it on hold, for service
        keys.
        """
        headers = None if idempotency_key is None else {"Idempotency-Key": idempotency_key}
        its_id = conversation_id
        if its_id is None and idempotency_key is None:
            its_id = uuid7()
        body = given(
            id=UNSET if its_id is None else its_id,
            title=title,
            metadata=metadata,
            messages=list(messages),
            retain=retain,
        )
        return self._send(Request("POST", _ALL, _created, headers=headers, body=body))

    def get_or_create_conversation(
        self,
        conversation_id: str,
        *,
        title: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        retain: bool | UnsetType = UNSET,
        expected_revision: int | None = None,
        must_be_new: bool = False,
    ) -> FoundConversation:
        """Return a conversation, which is created with these values if it does not exist.

        `created` says which. With `expected_revision` nothing is created (`NotFoundError`); with
        `must_be_new` it must not exist (`RevisionConflictError`). With either of them the request
        is not sent again if it may have been carried out.
        """
        headers = conditions(expected_revision) or {}
        if must_be_new:
            headers["If-None-Match"] = "*"
        return self._send(
            Request(
                "PUT",
                conversation(conversation_id),
                _found,
                headers=headers,
                body=given(title=title, metadata=metadata, retain=retain),
                repeat="if refused" if headers else "always",
            )
        )

    def get_conversation(
        self,
        conversation_id: str,
        *,
        expected_revision: int | None = None,
        known_revision: int | None = None,
    ) -> Conversation:
        """Return a conversation, without its messages.

        Raises `NotFoundError`; `RevisionConflictError` if it is not at `expected_revision`;
        `NotModifiedError` if it is still at `known_revision`.
        """
        headers = conditions(expected_revision, known_revision)
        return self._send(
            Request("GET", conversation(conversation_id), _conversation, headers=headers)
        )

    def list_conversations(
        self,
        *,
        status: Status | None = None,
        metadata: Mapping[str, object] | None = None,
        updated_after: datetime | str | None = None,
        updated_before: datetime | str | None = None,
        sort: Sort | None = None,
        count: bool = False,
        limit: int = 20,
        cursor: str | None = None,
        after: str | None = None,
    ) -> ConversationPage:
        """Return a page of the user's conversations, latest activity first.

        Filters combine. `metadata` finds equal strings, numbers, booleans and None at the top
        level. Times have a time zone, and are excluded themselves. `sort="created"` sorts by
        creation, at most 10,000 conversations. `count` adds how many there are on all pages. A
        `cursor` contains the filters. Pages may be short or empty: go on until `next_cursor` is
        None, or use `iter_conversations`. Without a cursor, `after` is the id of the one to go on
        behind; raises `NotFoundError`.
        """
        query = {
            "status": status,
            "updated_after": updated_after,
            "updated_before": updated_before,
            "sort": sort,
            "count": count,
            "limit": limit,
            "cursor": cursor,
            "after": after,
            **metadata_filters(metadata),
        }
        return self._send(Request("GET", _ALL, _page, query=query))

    def iter_conversations(
        self,
        *,
        status: Status | None = None,
        metadata: Mapping[str, object] | None = None,
        updated_after: datetime | str | None = None,
        updated_before: datetime | str | None = None,
        sort: Sort | None = None,
        page_size: int = 100,
    ) -> Iterator[Conversation]:
        """Yield all conversations of the user that match, as `list_conversations` finds them.

        One that becomes active meanwhile may be left out or come twice.
        """
        cursor: str | None = None
        while True:
            page = self.list_conversations(
                status=status,
                metadata=metadata,
                updated_after=updated_after,
                updated_before=updated_before,
                sort=sort,
                limit=page_size,
                cursor=cursor,
            )
            yield from page.items
            cursor = page.next_cursor
            if cursor is None:
                return

    def change_conversation(
        self,
        conversation_id: str,
        *,
        title: str | UnsetType | None = UNSET,
        status: Status | UnsetType = UNSET,
        metadata: Mapping[str, Any] | UnsetType = UNSET,
        retain: bool | UnsetType = UNSET,
        expected_revision: int | None = None,
    ) -> Conversation:
        """Change what is given: rename it, archive it, replace its metadata, put it on hold.

        Raises `NotFoundError`, and `RevisionConflictError`. With `expected_revision` it is not sent
        again if it may have been carried out.
        """
        return self._send(
            Request(
                "PATCH",
                conversation(conversation_id),
                _conversation,
                headers=conditions(expected_revision),
                body=given(title=title, status=status, metadata=metadata, retain=retain),
                repeat="always" if expected_revision is None else "if refused",
            )
        )

    def delete_conversation(
        self, conversation_id: str, *, expected_revision: int | None = None
    ) -> None:
        """Delete a conversation with all its messages, permanently.

        Raises `NotFoundError`, `RetainedError` while it is on hold, and `RevisionConflictError`.
        """
        self._send(
            Request(
                "DELETE",
                conversation(conversation_id),
                nothing,
                headers=conditions(expected_revision),
                if_gone=nothing,
            )
        )

    def export_conversation(
        self,
        conversation_id: str,
        *,
        format: Literal["jsonl", "markdown"] = "jsonl",  # noqa: A002 - the word on the wire
    ) -> Iterator[bytes]:
        """Yield one conversation as a file, piece by piece.

        `jsonl` is one line, which `chatkeep import` reads; `markdown` is for people, and has the
        current branch only. Raises `NotFoundError`, and `IncompleteExportError` if the answer ends
        early.
        """
        path, last = conversation(conversation_id, "export"), b""
        query = {"format": format}
        with self._stream(Request("GET", path, nothing, query=query)) as response:
            try:
                for chunk in response.iter_bytes():
                    last = chunk or last
                    yield chunk
            except httpx.TransportError as error:
                raise IncompleteExportError("the connection broke during the export") from error
        if not last.endswith(b"\n"):
            raise IncompleteExportError("the service ended the export early")
