"""The parts of uvicorn that a connection uses.

uvicorn creates connections with the keywords `config`, `server_state`, `app_state` and `_loop`, and
calls their `shutdown`. tests/unit/test_connections.py fails with a uvicorn that does not.
"""

import asyncio
from typing import Any, Protocol


class Server(Protocol):
    """`uvicorn.server.ServerState`: how the server tracks and closes its connections."""

    connections: set[Any]
    tasks: set[asyncio.Task[None]]
    default_headers: list[tuple[bytes, bytes]]
    total_requests: int


class Configuration(Protocol):
    """`uvicorn.Config`."""

    loaded: bool
    loaded_app: Any
    root_path: str
    timeout_keep_alive: int

    def load(self) -> None: ...
