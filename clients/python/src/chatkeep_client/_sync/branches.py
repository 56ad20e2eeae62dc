# Written by sync_from_async.py from _async/branches.py; change that file.
"""Branches, alternatives to a message, and forks."""

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import UNSET, UnsetType

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
from chatkeep_client._sync.sending import Sender
from chatkeep_client.models import Branch, BranchPage, Conversation, Sibling, Siblings

_branch = into(Branch)
_page = into(BranchPage)
_siblings = into(Siblings)
_conversation = into(Conversation)


class Branches(Sender):
    """The routes about branches."""

    def list_branches(
        self,
        conversation_id: str,
        *,
        limit: int = 20,
        cursor: str | None = None,
        expected_revision: int | None = None,
        known_revision: int | None = None,
    ) -> BranchPage:
        """Return a page of the branches, by number; a conversation that never branched has one, 0.

        Raises `NotFoundError`; `RevisionConflictError` if the conversation is not at
        `expected_revision`; `NotModifiedError` if it is still at `known_revision`.
        """
        return self._send(
            Request(
                "GET",
                conversation(conversation_id, "branches"),
                _page,
                query={"limit": limit, "cursor": cursor},
                headers=conditions(expected_revision, known_revision),
            )
        )

    def iter_branches(self, conversation_id: str, *, page_size: int = 100) -> Iterator[Branch]:
        """Yield all branches, by number."""
        cursor: str | None = None
        while True:
            page = self.list_branches(conversation_id, limit=page_size, cursor=cursor)
            yield from page.items
            cursor = page.next_cursor
            if cursor is None:
                return

    def change_branch(
        self,
        conversation_id: str,
        number: int,
        *,
        name: str | UnsetType | None = UNSET,
        is_current: bool = False,
        expected_revision: int | None = None,
    ) -> Branch:
        """Rename a branch (None: no name), or make it the current one with `is_current=True`.

        Raises `NotFoundError` and `RevisionConflictError`. With `expected_revision` it is not sent
        again if it may have been carried out.
        """
        body = given(name=name)
        if is_current:
            body["is_current"] = True
        return self._send(
            Request(
                "PATCH",
                conversation(conversation_id, "branches", str(number)),
                _branch,
                headers=conditions(expected_revision),
                body=body,
                repeat="always" if expected_revision is None else "if refused",
            )
        )

    def delete_branch(
        self, conversation_id: str, number: int, *, expected_revision: int | None = None
    ) -> int | None:
        """Delete a branch, with the messages that no other branch shares. Return the revision.

        It is None if a repeated request found the branch gone. Raises `NotFoundError`;
        `WrongBranchError` for the current branch; `RetainedError`; `RevisionConflictError`.
        """
        return self._send(
            Request(
                "DELETE",
                conversation(conversation_id, "branches", str(number)),
                revision_of,
                headers=conditions(expected_revision),
                if_gone=revision_of,
            )
        )

    def list_siblings(self, conversation_id: str, message_id: str) -> list[Sibling]:
        """Return all messages that continue from the same message as this one, oldest first.

        Raises `NotFoundError`.
        """
        path = conversation(conversation_id, "messages", segment(message_id), "siblings")
        return (self._send(Request("GET", path, _siblings))).items

    def fork_conversation(
        self,
        conversation_id: str,
        *,
        new_id: str | None = None,
        at: str | None = None,
        branch: int | None = None,
        title: str | UnsetType | None = UNSET,
        metadata: Mapping[str, Any] | UnsetType = UNSET,
    ) -> Conversation:
        """Copy a path into a new conversation, and return that one.

        The path is that of the message `at`, up to it; or all of `branch`, or of the current
        branch. Title and metadata are those of the original unless given. Copies have other ids,
        except for ids that are not UUIDs. Raises `NotFoundError`, and `IdTakenError` for `new_id`.
        """
        return self._send(
            Request(
                "POST",
                conversation(conversation_id, "fork"),
                _conversation,
                body=given(
                    id=new_id or uuid7(),
                    at=UNSET if at is None else at,
                    branch=UNSET if branch is None else branch,
                    title=title,
                    metadata=metadata,
                ),
            )
        )
