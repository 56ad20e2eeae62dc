"""`chatkeep doctor` as an operator runs it."""

import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.doctor.examining import PROMISES, connected, execute
from tests.support.processes import chatkeep, processes_about

LINE = re.compile(r"(ok|warning|failed|skipped) +[a-z]+( \S+)?: .+ \(\d+ ms\)")
PAGE = Path(__file__).parents[3] / "docs" / "doctor.md"


async def test_a_line_for_each_check_and_status_0_when_all_is_well(database_url: str) -> None:
    done = chatkeep("doctor", DATABASE_URL=database_url)

    *lines, last = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert all(map(LINE.fullmatch, lines)), done.stdout
    assert re.fullmatch(r"\d+ ok, \d+ warning, 0 failed, 1 skipped", last)
    assert sum("promise" in line for line in lines) == len(PROMISES)


async def test_the_last_result_is_kept_where_that_is_allowed(database_url: str) -> None:
    kept = "SELECT ok > 9, warnings, failed, promises_kept, promises_broken FROM doctor_results"

    async def run() -> tuple[int, str, list[Any]]:
        done = chatkeep("doctor", "--json", DATABASE_URL=database_url)
        assert json.loads(done.stdout)["healthy"] is (done.returncode == 0)
        async with connected(database_url) as connection:
            return (
                done.returncode,
                done.stderr,
                [tuple(each) for each in await connection.fetch(kept)],
            )

    status, written, [row] = await run()
    assert (status, written, row[0]) == (0, "", True)
    assert row[2:] == (0, len(PROMISES), 0)
    database = database_url.rpartition("/")[2].partition("?")[0]
    await execute(
        database_url,
        "DROP INDEX idx_messages_created_at; "
        f"ALTER DATABASE {database} SET default_transaction_read_only = on",
    )
    # It was rolled back before, and is now: only the row cannot be kept.
    status, written, rows = await run()
    assert (status, rows) == (1, [row])
    assert "could not be kept for the overview" in written
    assert "read-only" in written


async def test_status_1_and_the_way_out_when_something_failed(database_url: str) -> None:
    await execute(
        database_url,
        "DROP INDEX idx_messages_conversation_id; INSERT INTO users VALUES ('ann'); "
        "INSERT INTO conversations (user_id, message_count) VALUES ('ann', 3)",
    )

    done = chatkeep("doctor", "--repair", DATABASE_URL=database_url)

    assert done.returncode == 1
    [failed] = [line for line in done.stdout.splitlines() if line.startswith("failed")]
    assert "-> CREATE INDEX CONCURRENTLY idx_messages_conversation_id ON messages" in failed
    assert "message_count 3, last_position 0; now 0 and 0" in done.stdout


async def test_json_is_one_object(database_url: str) -> None:
    await execute(database_url, "DROP INDEX idx_messages_created_at")

    done = chatkeep("doctor", "--json", DATABASE_URL=database_url)

    document = json.loads(done.stdout)
    assert done.returncode == 1
    assert document.keys() == {"chatkeep", "healthy", "counts", "findings"}
    assert document["healthy"] is False
    assert document["counts"]["failed"] == 1
    [failed] = [each for each in document["findings"] if each["outcome"] == "failed"]
    assert failed.keys() == {
        *("check", "subject", "outcome", "found", "way_out", "examples", "seconds")
    }
    assert (failed["check"], failed["subject"]) == ("indexes", "idx_messages_created_at")
    page = PAGE.read_text()
    assert all(f"`{key}`" in page for key in (*document, *failed))
    assert all(f"| `{each['check']}` |" in page for each in document["findings"])
    assert all(f"`{name}`" in page for name in PROMISES)


def test_a_database_that_is_not_there_is_a_finding() -> None:
    url = "postgresql://me:secret@127.0.0.1:1/mine"
    done = chatkeep("doctor", "--json", DATABASE_URL=url)

    document = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (1, "")
    assert document["counts"] == {"ok": 0, "warning": 0, "failed": 1, "skipped": 21}
    assert "secret" not in done.stdout


@pytest.fixture
def home() -> Iterator[Path]:
    """Yield a directory for the embedded database that its account can enter."""
    path = Path(tempfile.mkdtemp(prefix="chatkeep-test-"))
    path.chmod(0o711)
    yield path
    assert not processes_about(path)
    shutil.rmtree(path)


@pytest.mark.full
def test_the_embedded_database_passes(home: Path) -> None:
    assert chatkeep("migrate", CHATKEEP_HOME=str(home)).returncode == 0

    done = chatkeep("doctor", CHATKEEP_HOME=str(home))

    assert done.returncode == 0, done.stdout
    assert "\nwarning" not in done.stdout
