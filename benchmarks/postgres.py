"""The databases of the measured programs: one for each, on one durable server."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import asyncpg

from benchmarks.results import Disk
from chatkeep.adapters.database_url import parse_database_url
from chatkeep.adapters.embedded.postgres import ephemeral_postgres

FILL_TIMEOUT: Final = 600.0  # seconds

_DISK: Final = """
SELECT (SELECT count(*) FROM conversations) AS conversations,
       (SELECT count(*) FROM messages) AS messages,
       (SELECT avg(length(content))::float FROM messages) AS average_chars,
       pg_database_size(current_database()) AS database_bytes,
       pg_table_size('messages') AS message_bytes,
       pg_indexes_size('messages') AS message_index_bytes"""


class Server:
    """A Postgres server; statements run as its superuser."""

    def __init__(self, url: str) -> None:
        self._url = url

    def create(self, database: str) -> str:
        """Create an empty database and return its URL."""
        query(self._url, f"CREATE DATABASE {database}")
        return urlsplit(self._url)._replace(path=f"/{database}").geturl()

    def setting(self, name: str) -> str:
        [row] = query(self._url, "SELECT current_setting($1) AS value", name)
        value: str = row["value"]
        return value

    def checkpoint(self) -> None:
        """Write everything to disk now, so that the server does not do so during a measurement."""
        query(self._url, "CHECKPOINT")


@contextmanager
def durable_server() -> Iterator[Server]:
    with ephemeral_postgres(durable=True) as url:
        yield Server(url)


def migrate(url: str) -> None:
    """Migrate in a separate process, since this one may already run an event loop."""
    code = (
        "import asyncio\n"
        "from chatkeep.entrypoints.bootstrap.database import migrate\n"
        "from chatkeep.entrypoints.settings import Settings\n"
        "asyncio.run(migrate(Settings.from_env()))"
    )
    environ = {**os.environ, "DATABASE_URL": url, "DATABASE_URL_DIRECT": ""}
    subprocess.run([sys.executable, "-c", code], env=environ, check=True)  # noqa: S603 - ours


def query(url: str, sql: str, *args: object) -> list[Any]:
    """Run one statement on a new connection, and return its rows."""
    return asyncio.run(_query(url, sql, *args))


async def _query(url: str, sql: str, *args: object) -> list[Any]:
    connection = await connect(url)
    try:
        rows: list[Any] = await connection.fetch(sql, *args)
        return rows
    finally:
        await connection.close()


async def connect(url: str) -> Any:  # noqa: ANN401 - asyncpg is untyped
    arguments = parse_database_url(url).connect_args
    return await asyncpg.connect(**arguments, command_timeout=FILL_TIMEOUT)


def vacuum(url: str) -> None:
    """Vacuum and analyze, as autovacuum would: without statistics the plans are different."""
    query(url, "VACUUM (ANALYZE)")


def measure_disk(url: str) -> Disk:
    """Return the size of the database and of its tables."""
    [row] = query(url, _DISK)
    return Disk(**row)
