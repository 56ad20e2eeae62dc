"""Makes connections to one database, and says what it means when that fails."""

import asyncio
import contextlib
from typing import Any, Final

import asyncpg

from chatkeep.adapters.piccolo.allowance import CrowdedError
from chatkeep.adapters.piccolo.availability import Outage, OutageMonitor
from chatkeep.adapters.piccolo.connection import BROKEN, PooledConnection
from chatkeep.adapters.piccolo.errors import CROWDED, REFUSED, EncodingError, classify, describe
from chatkeep.adapters.piccolo.retries import Timing

CONNECT_TIMEOUT: Final = Timing().connect
CANCEL_TIMEOUT: Final = 2.0
"""Seconds to wait for the server to acknowledge a cancel request."""

ENCODING: Final = "UTF8"


class Connector:
    """`connect_args` go to `asyncpg.connect` as they are."""

    __slots__ = ("_connect_args", "_outages", "_timing")

    def __init__(
        self, connect_args: dict[str, Any], timing: Timing, outages: OutageMonitor
    ) -> None:
        self._connect_args = connect_args
        self._timing = timing
        self._outages = outages

    async def connect(self) -> Any:  # noqa: ANN401 - asyncpg is untyped
        """Return a connection outside of any pool.

        Raises `AwayError` when the database cannot serve, and other errors as the driver does.
        """
        started = asyncio.get_running_loop().time()
        try:
            return await _connect(self._connect_args)
        except Exception as error:
            failure = classify(error)
            if failure is None:
                raise
            raise Outage(started, failure, error).to_error() from error

    async def connect_unless_away(self) -> PooledConnection:
        """Return a connection for the pool, without trying during an outage that is known.

        Raises `CrowdedError` when the server has no connection left for us, and `AwayError` for
        all else. A failure begins an outage.
        """
        if self._outages.outage is not None:
            raise self._outages.outage.to_error()
        started = asyncio.get_running_loop().time()
        try:
            return await self.connect_for_pool()
        except CrowdedError:
            raise
        except Exception as error:
            failure = classify(error) or REFUSED
            raise self._outages.report(Outage(started, failure, error)).to_error() from error

    async def connect_for_pool(self) -> PooledConnection:
        """Return a connection for the pool. Raises `CrowdedError`, and what the driver raises."""
        try:
            connection: PooledConnection = await _connect(
                self._connect_args
                | {
                    "timeout": self._timing.connect,
                    "command_timeout": self._timing.command,
                    "connection_class": PooledConnection,
                }
            )
        except Exception as error:
            if classify(error) is CROWDED:
                raise CrowdedError(describe(error)) from error
            raise
        return connection


async def _connect(args: dict[str, Any]) -> Any:  # noqa: ANN401 - asyncpg is untyped
    """Return a connection to a database that can store every text, or raise `EncodingError`."""
    connection = await asyncpg.connect(**args)
    # The server reports this setting while the connection is made: no round trip is needed.
    encoding = getattr(connection.get_settings(), "server_encoding", ENCODING)
    if encoding != ENCODING:
        with contextlib.suppress(*BROKEN):
            await connection.close(timeout=CANCEL_TIMEOUT)
        raise EncodingError(encoding)
    return connection
