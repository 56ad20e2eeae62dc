"""A Citus cluster for tests: a coordinator and two workers on this machine.

It needs a Postgres that has Citus: that of CHATKEEP_TEST_POSTGRES, else one that `pg_config` or the
usual folders lead to.
"""

import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import asyncpg

from chatkeep.adapters.embedded.binaries import binaries_in
from chatkeep.adapters.embedded.postgres import ephemeral_postgres
from tests.support.postgres import BINARIES

HOST = "127.0.0.1"
SHARDS = 8
MISSING = (
    "no Postgres with Citus was found: install Citus (docs/scale.md says how), and name the folder "
    "of its programs, as in CHATKEEP_TEST_POSTGRES=/usr/lib/postgresql/16/bin"
)


@dataclass
class CitusCluster:
    """The ports of the nodes. The coordinator is the first, and in the metadata."""

    ports: list[int]
    _numbers: Iterator[int] = field(default_factory=count)

    def url(self, database: str, node: int = 0) -> str:
        return f"postgresql://postgres@{HOST}:{self.ports[node]}/{database}"

    @asynccontextmanager
    async def database(self) -> AsyncIterator[str]:
        """Yield the URL of a new, empty database with Citus on all nodes: the coordinator's."""
        name = f"cluster_{next(self._numbers)}"
        for node in range(len(self.ports)):
            await execute(self.url("postgres", node), f"CREATE DATABASE {name}")
            await execute(self.url(name, node), "CREATE EXTENSION citus")
        url = self.url(name)
        coordinator, *workers = self.ports
        await execute(url, f"SELECT citus_set_coordinator_host('{HOST}', {coordinator})")
        for port in workers:
            await execute(url, f"SELECT citus_add_node('{HOST}', {port})")
        try:
            yield url
        finally:
            for node in range(len(self.ports)):
                await execute(self.url("postgres", node), f"DROP DATABASE {name} WITH (FORCE)")


def find_citus() -> Path | None:
    """Return the folder with the programs of a Postgres that has Citus; None if there is none."""
    found = shutil.which("pg_config")
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    folders = (
        [Path(BINARIES)] if BINARIES else [*([Path(found).parent] if found else []), *installed]
    )
    return next((folder for folder in folders if _has_citus(folder)), None)


def _has_citus(folder: Path) -> bool:
    config = folder / "pg_config"
    if not config.exists() or not (folder / "initdb").exists():
        return False
    shared = subprocess.run([config, "--sharedir"], capture_output=True, text=True, check=False)
    return (Path(shared.stdout.strip()) / "extension/citus.control").exists()


@contextmanager
def citus_cluster(folder: Path, *, workers: int = 2) -> Iterator[CitusCluster]:
    """Yield a new cluster of the Postgres in `folder`. It is removed afterwards."""
    ports = _free_ports(1 + workers)
    with ExitStack() as stack:
        for port in ports:
            settings = {
                "listen_addresses": HOST,
                "port": str(port),
                "shared_preload_libraries": "citus",
                "max_connections": "100",
                "citus.shard_count": str(SHARDS),
                "citus.node_conninfo": "sslmode=disable",
                "citus.enable_statistics_collection": "off",
            }
            stack.enter_context(ephemeral_postgres(settings=settings, binaries=binaries_in(folder)))
        yield CitusCluster(ports)


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((HOST, 0))
        return [each.getsockname()[1] for each in sockets]


async def execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()
