"""A database that is not in UTF8 is refused, wherever it comes up, before anything is stored."""

from collections.abc import AsyncIterator

import pytest

from tests.e2e.doctor.examining import examine
from tests.e2e.neon.service import problem, service
from tests.support.postgres import Server
from tests.support.processes import chatkeep

MADE = "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' LOCALE_PROVIDER libc TEMPLATE template0"
WAY_OUT = "CREATE DATABASE name ENCODING 'UTF8' TEMPLATE template0"


@pytest.fixture
async def latin_url(postgres_server: Server) -> AsyncIterator[str]:
    await postgres_server.execute(MADE)
    yield postgres_server.of("latin")
    await postgres_server.execute("DROP DATABASE latin WITH (FORCE)")


async def test_migrating_it_is_refused_and_says_the_way_out(latin_url: str) -> None:
    done = chatkeep("migrate", DATABASE_URL=latin_url)

    assert done.returncode == 1
    assert "encoding is LATIN1" in done.stderr
    assert WAY_OUT in done.stderr
    assert len(done.stderr.splitlines()) == 1


async def test_a_service_on_it_is_not_ready_and_says_why_to_everybody(
    latin_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with service(latin_url) as caller:
        answer = await caller.start_conversation()
        ready = await caller.is_ready()

    assert "encoding is LATIN1" in problem(answer)["detail"]
    assert not ready
    assert "server_encoding is LATIN1" in caplog.text


async def test_the_doctor_names_it(latin_url: str) -> None:
    found = await examine(latin_url)

    assert "server encoding" in found.failed
    assert WAY_OUT in found.line("server encoding").fix
