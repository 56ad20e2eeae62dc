"""The client itself: its connections, and whom it calls for."""

import copy
from types import TracebackType
from typing import TypeVar

import httpx

from chatkeep_client import _connection
from chatkeep_client._async.branches import AsyncBranches
from chatkeep_client._async.changes import AsyncChanges
from chatkeep_client._async.conversations import AsyncConversations
from chatkeep_client._async.drafts import AsyncDrafts
from chatkeep_client._async.events import AsyncEvents
from chatkeep_client._async.items import AsyncItems
from chatkeep_client._async.messages import AsyncMessages
from chatkeep_client._async.search import AsyncSearches
from chatkeep_client._async.sending import Token
from chatkeep_client._async.users import AsyncUsers
from chatkeep_client._connection import Connection

_Client = TypeVar("_Client", bound="AsyncChatkeep")


class AsyncChatkeep(
    AsyncConversations,
    AsyncMessages,
    AsyncChanges,
    AsyncBranches,
    AsyncDrafts,
    AsyncEvents,
    AsyncSearches,
    AsyncItems,
    AsyncUsers,
):
    """Calls the API of one service; each method is named like the operation of its document.

    Give either a `token` of the user, or a function that returns the current one; or a
    `service_key` and the `user` that it acts for (see `as_user`). With the name of an `operator`,
    its requests about users are lines of the audit.

    A request whose answer is lost, that is refused with 429 or 503, or that cannot connect is sent
    again, at most `max_retries` times: after 0.25 s, then 0.5, 1, 2, 4 and 8 s, less a random part
    of up to a half, and later if `Retry-After` says so. It is sent again only if that is safe:
    appends and creates get an id for it, so that nothing is stored twice.

    `timeout` is in seconds, for each step of an attempt: to connect, to send, to read. `http` is a
    client of httpx to use, for example with a proxy or your own certificates; you close it.

    Methods raise the errors of `chatkeep_client.errors`. Leave the block, or call `aclose`, to
    close the connections.
    """

    def __init__(
        self,
        url: str,
        *,
        token: Token | None = None,
        service_key: str | None = None,
        user: str | None = None,
        operator: str | None = None,
        timeout: float | httpx.Timeout = _connection.TIMEOUT,
        max_retries: int = _connection.MAX_RETRIES,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        credential = token if service_key is None else service_key
        if credential is None or (token is not None and service_key is not None):
            raise ValueError("give either `token` or `service_key`")
        if user is not None and service_key is None:
            raise ValueError("`user` needs a `service_key`; a token is already of one user")
        if operator is not None and service_key is None:
            raise ValueError(
                "`operator` needs a `service_key`; the audit is not about users' own requests"
            )
        self._token = credential
        self._timeout = timeout
        self._max_retries = max_retries
        self._owns_http = http is None
        self._http = http or httpx.AsyncClient(limits=_connection.LIMITS)
        self._connection = Connection(url, user=user, operator=operator, timeout=timeout)

    @property
    def url(self) -> str:
        """The address of the service."""
        return self._connection.url

    @property
    def user(self) -> str | None:
        """The user that a service key acts for; None without one, or with a token."""
        return self._connection.user

    @property
    def operator(self) -> str | None:
        """The name in the lines of the audit; None without one."""
        return self._connection.operator

    def as_user(self: _Client, user: str) -> _Client:
        """Return a client that acts for this user, for a service key. It shares the connections.

        It need not be closed: they are closed with the client that it came from.
        """
        if not isinstance(self._token, str):
            raise ValueError("`as_user` needs a `service_key`; a token is already of one user")  # noqa: TRY004 - the argument is right
        other = copy.copy(self)
        other._connection = Connection(  # noqa: SLF001 - of the same class
            self.url, user=user, operator=self.operator, timeout=self._timeout
        )
        other._owns_http = False  # noqa: SLF001
        return other

    async def aclose(self) -> None:
        """Close the connections."""
        if self._owns_http:
            await self._http.aclose()

    async def __aenter__(self: _Client) -> _Client:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()
