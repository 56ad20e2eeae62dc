"""A database that is killed, full or read-only: nothing is lost, and callers are told to wait."""

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import asyncpg
import httpx
import pytest

from chatkeep.adapters.database_url import parse_database_url
from chatkeep.adapters.embedded.postgres import DurablePostgres
from tests.e2e.faults.load import Stored, Writer
from tests.support.postgres import Server, connect_args
from tests.support.processes import SECRET, processes_about
from tests.support.service_process import FULL, ServiceProcess, as_user, running, running_on, some
from tests.support.waiting import until

WRITERS = 12
ROUNDS = 5 if FULL else 1
FULL_DISK = """
CREATE FUNCTION disk_is_full() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$;
CREATE TRIGGER full_disk BEFORE INSERT ON messages EXECUTE FUNCTION disk_is_full()"""


@pytest.fixture
def home() -> Iterator[Path]:
    """Yield a directory for an embedded database, that the account it runs under can enter."""
    path = Path(tempfile.mkdtemp(prefix="chatkeep-test-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path)


def postgres_of(home: Path) -> set[int]:
    """Return the postmaster and all its children, and no other process."""
    found = set()
    for pid in processes_about(home):
        with suppress(OSError):
            if Path(f"/proc/{pid}/exe").readlink().name == "postgres":
                found.add(pid)
    return found


def postmaster_of(home: Path) -> int:
    return int((home / "postgres/data/postmaster.pid").read_text().splitlines()[0])


@pytest.mark.parametrize("whole", some([True, False], every=2))
async def test_the_embedded_database_killed_under_load_is_started_again_and_has_lost_nothing(
    home: Path, *, whole: bool
) -> None:
    async with running(CHATKEEP_HOME=str(home), CHATKEEP_JWT_SECRET=SECRET) as service:
        load = [await Writer.of(service.http, f"user {number}") for number in range(WRITERS)]
        over = asyncio.Event()
        writing = asyncio.gather(*(writer.until(over, patience=60) for writer in load))
        for _ in range(ROUNDS):
            await asyncio.sleep(0.7)
            before = acknowledged(load)
            first = postmaster_of(home)
            for pid in postgres_of(home) if whole else {first}:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            await until(partial(is_new, home, first))
            await until(partial(goes_on, load, before))
        over.set()
        await writing
        assert service.log.count("the embedded Postgres has died") == ROUNDS
        assert "Traceback" not in service.log
        assert await service.end() == 0

    with DurablePostgres.start(home) as server:
        (await Stored.of(server.url)).check(load, answered_all=True)
    await until(lambda: not processes_about(home))


def acknowledged(load: list[Writer]) -> int:
    return sum(len(writer.acknowledged) for writer in load)


def goes_on(load: list[Writer], acknowledged_before: int) -> bool:
    return acknowledged(load) > acknowledged_before + WRITERS


def is_new(home: Path, known: int) -> bool:
    with suppress(OSError, IndexError, ValueError):
        return postmaster_of(home) != known
    return False


async def test_a_database_that_only_reads_or_is_full_is_503_and_reading_goes_on(
    postgres_server: Server,
) -> None:
    async with running_on(postgres_server) as service:
        writer = await Writer.of(service.http, "alice")
        assert await writer.append()
        path = f"/v1/conversations/{writer.conversation}/messages"
        connection = await asyncpg.connect(**connect_args(service.database_url))
        await connection.execute(FULL_DISK)
        told = await refused(service, path)
        assert int(told.headers["retry-after"]) >= 10
        await connection.execute("DROP TRIGGER full_disk ON messages")
        assert await writer.append()

        name = parse_database_url(service.database_url).connect_args["database"]
        await connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        await refused(service, path)
        await connection.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
        await connection.close()
        if not await writer.append():
            await asyncio.sleep(6)  # what it was told to wait
            assert await writer.append(writer.sent[-1])
        assert "Traceback" not in service.log
        assert await service.end() == 0
        (await Stored.of(service.database_url)).check([writer], answered_all=True)


async def refused(service: ServiceProcess, path: str) -> httpx.Response:
    """Return the answer to an append that cannot be stored; what is stored can be read."""
    body = {"role": "user", "content": "never stored"}
    answer = await service.http.post(path, json=body, headers=as_user("alice"))
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.json()["type"] == "urn:chatkeep:problem:database-unavailable"
    assert "extend" not in answer.text
    await service.call("GET", path, headers=as_user("alice"))
    return answer
