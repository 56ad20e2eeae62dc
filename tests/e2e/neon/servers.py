"""A Postgres that is stopped and started again, and a PgBouncer in front of one."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import asyncpg
import pytest

from chatkeep.adapters.embedded.binaries import find_binaries
from tests.e2e.neon.service import free_port, is_listening
from tests.support import postgres
from tests.support.waiting import until

PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")

needs_pgbouncer = pytest.mark.skipif(
    PGBOUNCER is None, reason="pgbouncer is not installed (Debian: apt-get install pgbouncer)"
)

Way = Literal["fast", "immediate"]


class Suspendable:
    """A server that goes away and comes back, as a serverless one does."""

    def __init__(self, server: postgres.Server, data: Path) -> None:
        self.server = server
        self._data = data

    @classmethod
    async def of(cls, server: postgres.Server) -> "Suspendable":
        connection = await asyncpg.connect(**postgres.connect_args(server.url))
        try:
            return cls(server, Path(await connection.fetchval("SHOW data_directory")))
        finally:
            await connection.close()

    async def suspend(self, way: Way = "fast") -> None:
        """Stop it: `fast` tells those who are connected, `immediate` is what a crash looks like."""
        await self._pg_ctl("-m", way, "stop")

    async def wake(self) -> None:
        # This keeps the options that the server was started with.
        await self._pg_ctl("-l", "server.log", "restart")

    async def restart(self, way: Way) -> None:
        await self.suspend(way)
        await self.wake()

    async def _pg_ctl(self, *args: str) -> None:
        run = find_binaries().run
        done = await asyncio.to_thread(
            run, "pg_ctl", "-D", self._data.name, "-w", *args, cwd=self._data.parent
        )
        assert done.returncode == 0, done.stderr


@asynccontextmanager
async def pgbouncer(
    database_url: str, *, connections: int, clients: int = 200
) -> AsyncIterator[str]:
    """Yield the URL of the same database through PgBouncer in transaction mode."""
    assert PGBOUNCER is not None
    args = postgres.connect_args(database_url)
    port = free_port()
    place = Path(tempfile.mkdtemp(prefix="pgbouncer-", dir="/tmp"))
    config = place / "pgbouncer.ini"
    config.write_text(
        f"""[databases]
* = host={args["host"]} port={args["port"]} user={args["user"]}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {connections}
max_client_conn = {clients}
server_login_retry = 1
"""
    )
    # It refuses root, and becomes the user of this option after it has read its settings.
    account = ["--user", "nobody"] if os.geteuid() == 0 else []
    process = await asyncio.create_subprocess_exec(
        *(PGBOUNCER, "--quiet", *account, str(config)), stderr=asyncio.subprocess.DEVNULL
    )
    try:
        await until(lambda: is_listening(port))
        yield f"postgresql://{args['user']}@127.0.0.1:{port}/{args['database']}?pgbouncer=true"
    finally:
        process.kill()
        await process.wait()
        shutil.rmtree(place)
