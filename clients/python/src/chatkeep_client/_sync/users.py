# Written by sync_from_async.py from _async/users.py; change that file.
"""The user, their export, other users for services, and the health of the service."""

from collections.abc import Iterator
from contextlib import suppress

import httpx

from chatkeep_client._requests import Lines, Request, into, nothing, segment
from chatkeep_client._sync.sending import Sender
from chatkeep_client.errors import ChatkeepError, IncompleteExportError
from chatkeep_client.models import AuditPage, Overview, Usage, User, UserPage

_usage = into(Usage)
_user = into(User)
_user_page = into(UserPage)
_audit_page = into(AuditPage)
_overview = into(Overview)


class Users(Sender):
    """The routes below /v1/me, /v1/users, /v1/audit, /v1/overview and /health."""

    def get_usage(self) -> Usage:
        """Count the user's conversations and messages; all are 0 for a new user."""
        return self._send(Request("GET", "/v1/me", _usage))

    def export_me(self) -> Iterator[bytes]:
        """Yield all conversations of the user with all their messages, one JSON text each.

        `chatkeep import` reads them, one a line; docs/transfer.md describes them. Raises
        `IncompleteExportError` if the answer ends early.
        """
        lines = Lines()
        with self._stream(Request("GET", "/v1/me/export", nothing)) as response:
            try:
                for chunk in response.iter_bytes():
                    yield from lines.feed(chunk)
            except httpx.TransportError as error:
                raise IncompleteExportError("the connection broke during the export") from error
        if not lines.is_complete:
            raise IncompleteExportError("the service ended the export early")

    def erase_me(self) -> None:
        """Delete the user and everything they own, permanently.

        Raises `RetainedError` while one of their conversations is on hold.
        """
        self._send(Request("DELETE", "/v1/me", nothing))

    def list_users(
        self, *, prefix: str | None = None, limit: int | None = None, cursor: str | None = None
    ) -> UserPage:
        """Return a page of the users whose ids begin with `prefix`, by id. For service keys.

        Go on with the `next_cursor` of the page as `cursor`, until it is None.
        """
        query = {"prefix": prefix, "limit": limit, "cursor": cursor}
        return self._send(Request("GET", "/v1/users", _user_page, query=query))

    def get_overview(self) -> Overview:
        """Return totals, the messages of 14 days, drafts, storage and more. For service keys."""
        return self._send(Request("GET", "/v1/overview", _overview))

    def list_audit(
        self, *, user: str | None = None, limit: int | None = None, cursor: str | None = None
    ) -> AuditPage:
        """Return a page of what operators asked for, latest first. For service keys.

        `user` chooses the lines about one user. Go on with the `next_cursor` of the page as
        `cursor`, until it is None.
        """
        query = {"user": user, "limit": limit, "cursor": cursor}
        return self._send(Request("GET", "/v1/audit", _audit_page, query=query))

    def put_user(self, user_id: str) -> User:
        """Add a user, if they do not exist. For service keys."""
        return self._send(Request("PUT", f"/v1/users/{segment(user_id)}", _user))

    def erase_user(self, user_id: str) -> None:
        """Delete a user and everything they own, permanently. For service keys.

        Raises `NotFoundError`, and `RetainedError` while one of their conversations is on hold.
        """
        self._send(Request("DELETE", f"/v1/users/{segment(user_id)}", nothing, if_gone=nothing))

    def is_live(self) -> bool:
        """Return whether the process answers. Nothing is tried again."""
        return self._answers("/health/live")

    def is_ready(self) -> bool:
        """Return whether the service can serve: its latest query succeeded."""
        return self._answers("/health/ready")

    def _answers(self, path: str) -> bool:
        with suppress(ChatkeepError):
            self._send(Request("GET", path, nothing, repeat="never"))
            return True
        return False
