"""What goes out on a connection: handed to the system, or else the client is cut off."""

import asyncio
import logging
import struct
from socket import SO_LINGER, SOL_SOCKET
from typing import Final

logger = logging.getLogger("chatkeep.http")

WRITE_BYTES: Final = 262_144
"""So much of an answer is given to the system at a time."""


class Outlet:
    """Writes to a transport. Cuts off a client that takes nothing for `stall` seconds."""

    __slots__ = ("_may_write", "_stall", "transport")

    def __init__(self, transport: asyncio.Transport, stall: float) -> None:
        self.transport = transport
        self._stall = stall
        self._may_write = asyncio.Event()
        self._may_write.set()
        # A write waits until the system has taken all of it: what waits counts as being served.
        transport.set_write_buffer_limits(high=0)

    def pause(self) -> None:
        """Wait: the transport holds something that the system has not taken yet."""
        self._may_write.clear()

    def resume(self) -> None:
        self._may_write.set()

    async def write(self, *pieces: bytes) -> None:
        """Return when the system has taken all of it, or the client is gone."""
        if sum(map(len, pieces)) <= WRITE_BYTES:
            pieces = (b"".join(pieces),)
        for piece in pieces:
            view = memoryview(piece)
            for at in range(0, len(view), WRITE_BYTES):
                if self.transport.is_closing():
                    return
                self.transport.write(view[at : at + WRITE_BYTES])
                if not self._may_write.is_set():
                    await self._drain()

    async def _drain(self) -> None:
        while not self._may_write.is_set():
            left = self.transport.get_write_buffer_size()
            try:
                async with asyncio.timeout(self._stall):
                    await self._may_write.wait()
            except TimeoutError:
                if self.transport.get_write_buffer_size() >= left:
                    logger.info("a client took nothing of its answer for %g s", self._stall)
                    self.reset()
                    return

    def reset(self) -> None:
        """End the connection so that nobody takes what has come for the whole.

        What the system holds for the client is dropped, too: one that reads nothing would hold it.
        """
        if (socket := self.transport.get_extra_info("socket")) is not None:
            socket.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()
