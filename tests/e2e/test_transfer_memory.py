"""However large what goes in or out is, the memory it takes stays the same."""

import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from tests.support.postgres import connect_args
from tests.support.processes import PROJECT, SECRET, environment
from tests.support.service_process import FULL, as_user, running

MIB = 1024 * 1024
LARGE = 256 * MIB if FULL else 48 * MIB
SMALL = 4 * MIB
MORE = 16 * MIB
"""By so much may the peaks differ: buffers of the allocator and of the driver."""

ELEMENT = MIB
_MAIN = (
    "import resource; from chatkeep.entrypoints.cli import main\n"
    "try: main()\n"
    "finally: print(f'PEAK {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}', flush=True)\n"
)


def peak(*arguments: str | Path, database_url: str) -> int:
    """Return how many bytes of memory a command took at most."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.argv[0] = 'chatkeep'\n{_MAIN}", *arguments],
        cwd=PROJECT,
        env=environment(DATABASE_URL=database_url),
        capture_output=True,
        encoding="utf-8",
        timeout=900 if FULL else 100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = re.search(r"^PEAK (\d+)$", done.stdout, re.MULTILINE)
    assert found
    return int(found[1]) * 1024


def write_chatgpt(file: Path, size: int) -> None:
    """Write an array of conversations that are all the same, one after the other on one line."""
    node = {
        "id": "n",
        "parent": None,
        "message": {
            "author": {"role": "user"},
            "content": {"content_type": "text", "parts": ['"]} \\ ' * (ELEMENT // 8)]},
        },
    }
    element = json.dumps({"conversation_id": "c", "mapping": {"n": node}, "current_node": "n"})
    with file.open("w", encoding="utf-8") as out:
        out.write("[" + element)
        for _ in range(size // len(element)):
            out.write(", " + element)
        out.write("]")


@pytest.mark.timeout(1_800 if FULL else 240)
@pytest.mark.full
def test_importing_a_large_array_takes_the_memory_of_one_conversation(
    database_url: str, tmp_path: Path
) -> None:
    peaks = []
    for size in (SMALL, LARGE):
        file = tmp_path / "conversations.json"
        write_chatgpt(file, size)
        peaks.append(peak("import", file, "--user", "a", database_url=database_url))
    assert peaks[1] < peaks[0] + MORE


@pytest.mark.timeout(1_800 if FULL else 240)
@pytest.mark.full
async def test_exporting_a_long_conversation_takes_the_memory_of_a_page(
    database_url: str, tmp_path: Path
) -> None:
    connection = await asyncpg.connect(**connect_args(database_url))
    for user, size in (("small", SMALL), ("large", LARGE)):
        await connection.execute("INSERT INTO users (id) VALUES ($1)", user)
        id_ = await connection.fetchval(
            "INSERT INTO conversations (user_id) VALUES ($1) RETURNING id", user
        )
        await connection.execute(
            "INSERT INTO messages (conversation_id, user_id, role, position, content) "
            "SELECT $1, $2, 'user', n, repeat('x', 1000) FROM generate_series(1, $3) AS n",
            id_,
            user,
            size // 1000,
        )
    await connection.execute("ANALYZE")
    await connection.close()
    peaks = []
    for user in ("small", "large"):
        command = ("export", "--user", user, "--output", tmp_path / user)
        peaks.append(await asyncio.to_thread(peak, *command, database_url=database_url))
    assert (tmp_path / "large").stat().st_size > LARGE
    assert peaks[1] < peaks[0] + MORE

    async with running(DATABASE_URL=database_url, CHATKEEP_JWT_SECRET=SECRET) as service:
        taken = []
        for user in ("small", "large"):
            size = 0
            most = 0
            async with service.http.stream("GET", "/v1/me/export", headers=as_user(user)) as got:
                async for chunk in got.aiter_raw(MIB):
                    size += len(chunk)
                    most = max(most, service.memory())
            assert size == (tmp_path / user).stat().st_size
            taken.append(most)
        assert taken[1] < taken[0] + MORE
