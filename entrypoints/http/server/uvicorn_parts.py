"""All that a connection needs of uvicorn, beside being given to it as `http=`.

uvicorn makes it with the keywords `config`, `server_state`, `app_state` and `_loop`, and calls
its `shutdown`. tests/unit/test_connections.py fails with a uvicorn that does otherwise.
"""

import asyncio
from typing import Any, Protocol


class Server(Protocol):
    """`uvicorn.server.ServerState`, by which the server counts and ends its connections."""

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
