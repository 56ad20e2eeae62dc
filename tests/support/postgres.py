"""Databases for tests: one server per run, one migrated template, a copy for each test."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from chatkeep.adapters.database_url import parse_database_url
from chatkeep.adapters.embedded.binaries import binaries_in, find_binaries
from chatkeep.adapters.embedded.postgres import ephemeral_postgres
from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.retries import Timing
from chatkeep.adapters.piccolo.statement import Statement
from tests.support.processes import chatkeep

TEMPLATE = "chatkeep_template"

# The programs of another Postgres than the embedded one, to run the tests on.
BINARIES = os.environ.get("CHATKEEP_TEST_POSTGRES")


@dataclass
class Server:
    """A Postgres server with a migrated database to copy."""

    url: str
    _numbers: Iterator[int] = field(default_factory=count)

    def of(self, database: str) -> str:
        """Return the URL of another database of this server."""
        return urlsplit(self.url)._replace(path=f"/{database}").geturl()

    @asynccontextmanager
    async def database(self, *, template: str = TEMPLATE) -> AsyncIterator[str]:
        """Yield the URL of a new database, migrated unless another template is named."""
        name = f"test_{next(self._numbers)}"
        await self.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        try:
            yield self.of(name)
        finally:
            await self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    async def execute(self, statement: str, *, database: str = "postgres") -> None:
        connection = await asyncpg.connect(**connect_args(self.of(database)))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


def programs() -> Path:
    """Return the folder with the programs of the Postgres that the tests run on."""
    return Path(BINARIES) if BINARIES else find_binaries().folder


@contextmanager
def server(*, durable: bool = False) -> Iterator[Server]:
    """Yield a new server. If `durable`, it survives crashes."""
    binaries = binaries_in(Path(BINARIES)) if BINARIES else None
    with ephemeral_postgres(durable=durable, binaries=binaries) as url:
        server = Server(url)
        asyncio.run(server.execute(f"CREATE DATABASE {TEMPLATE}"))
        migrate(server.of(TEMPLATE))
        yield server


@contextmanager
def server_with_passwords(role: str) -> Iterator[str]:
    """Yield the URL of a new server that lets this role in only with a password."""
    with tempfile.TemporaryDirectory() as place:
        rules = Path(place) / "pg_hba.conf"
        rules.write_text(f"local all {role} scram-sha-256\nlocal all all trust\n")
        Path(place).chmod(0o755)  # the server may run under another account
        with ephemeral_postgres(settings={"hba_file": str(rules)}) as url:
            yield url


def migrate(url: str) -> None:
    """Migrate in a process of its own, since this one may have an event loop already."""
    done = chatkeep("migrate", DATABASE_URL=url)
    assert done.returncode == 0, done.stderr


@asynccontextmanager
async def pool(url: str, timing: Timing | None = None) -> AsyncIterator[Engine]:
    """Yield an engine with a connection pool on the database at this URL."""
    async with Engine(connect_args(url), timing).pooled() as engine:
        yield engine


def connect_args(url: str) -> dict[str, object]:
    return parse_database_url(url).connect_args


def replace_run(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, run: Callable[..., Awaitable[Any]]
) -> None:
    """Have the engine run its statements by `run`. Those of other services go on as they are."""
    original = Engine.run

    def run_one(used: Engine, *args: Any, **options: Any) -> Awaitable[Any]:  # noqa: ANN401
        return run(*args, **options) if used is engine else original(used, *args, **options)

    monkeypatch.setattr(Engine, "run", run_one)


def scaled(times: int, tables: str) -> str:
    """Return the SQL that has the planner believe in `times` as many rows in tables like this.

    They are not analysed again meanwhile, which would count the rows that there are.
    """
    return f"""
DO $$
DECLARE each regclass;
BEGIN
  FOR each IN SELECT oid FROM pg_class WHERE relkind = 'r' AND relname ~ '{tables}' LOOP
    EXECUTE format('ALTER TABLE %s SET (autovacuum_enabled = false)', each);
  END LOOP;
  UPDATE pg_class SET reltuples = reltuples * {times} WHERE relname ~ '{tables}';
END $$"""


async def query(engine: Engine, sql: str, **values: object) -> list[Any]:
    """Run SQL with named parameters, and return its rows."""
    return await engine.fetch(Statement("tests.query", sql), **values)
