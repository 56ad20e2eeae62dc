"""`chatkeep erase`: asks first, erases all or nothing, and says what is in the way."""

import asyncio
import os
import pty
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import asyncpg
import pytest
from click.testing import CliRunner

from chatkeep.adapters.piccolo.stores import piccolo_stores
from chatkeep.domain.model import Changes, Status
from chatkeep.domain.operations.selftest.builders import ALICE, BOB
from chatkeep.domain.operations.selftest.store import StoreUnderTest
from chatkeep.entrypoints.cli import cli
from chatkeep.testing.builders import numbered_messages
from tests.support.postgres import Server, connect_args, pool
from tests.support.processes import CHATKEEP, PROJECT, chatkeep, environment
from tests.support.waiting import PATIENCE

COUNTS = "2 conversations (1 active, 1 archived, 1 on hold), 5 messages"
WAITING = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock'"""
UNUSED = "postgresql://nobody@127.0.0.1:1/nothing"


@dataclass(frozen=True)
class Filled:
    """A database where Alice has two conversations, one of them on hold, and Bob has one."""

    url: str
    held: str
    connection: asyncpg.Connection

    async def conversations(self) -> dict[str, int]:
        """Return how many each user has."""
        rows = await self.connection.fetch(
            "SELECT u.id, count(c.id) AS count FROM users u "
            "LEFT JOIN conversations c ON c.user_id = u.id GROUP BY u.id"
        )
        return {row["id"]: row["count"] for row in rows}


@pytest.fixture
async def filled(postgres_server: Server) -> AsyncIterator[Filled]:
    async with postgres_server.database() as url, pool(url) as engine:
        store = StoreUnderTest.of(piccolo_stores(engine))
        archived = await store.start(*numbered_messages(2))
        await store.conversations.change(ALICE, archived.id, Changes(status=Status.ARCHIVED))
        held = await store.start(*numbered_messages(3))
        await store.conversations.change(ALICE, held.id, Changes(retain=True))
        await store.start(*numbered_messages(1), user_id=BOB)
        connection = await asyncpg.connect(**connect_args(url))
        yield Filled(url, str(held.id), connection)
        await connection.close()


@contextmanager
def on_a_terminal(url: str, *arguments: str) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """Yield the command and the end of its terminal that somebody types into."""
    ours, theirs = pty.openpty()
    try:
        with subprocess.Popen(
            [CHATKEEP, "erase", *arguments],
            cwd=PROJECT,
            env=environment(DATABASE_URL=url, TERM="xterm"),
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            preexec_fn=os.setsid,  # noqa: PLW1509 - there are no threads yet
        ) as process:
            os.close(theirs)
            yield process, ours
    finally:
        os.close(ours)


def asked(process: "subprocess.Popen[str]") -> str:
    """Return what is shown up to the question."""
    assert process.stderr is not None
    shown = ""
    while not shown.endswith("[y/N]: "):
        more = process.stderr.read(1)
        assert more, shown
        shown += more
    return shown


async def test_a_hold_is_in_the_way_until_it_is_said_that_it_is_not(filled: Filled) -> None:
    done = chatkeep("erase", "--user", "alice", "--yes", DATABASE_URL=filled.url)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("chatkeep: 1 conversation is on hold, so nothing was deleted: ")
    assert filled.held in done.stderr
    assert done.stderr.endswith("To erase those as well, add --even-retained.\n")
    assert await filled.conversations() == {"alice": 2, "bob": 1}

    done = chatkeep("erase", "--user", "alice", "--yes", "--even-retained", DATABASE_URL=filled.url)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"deleted of user 'alice': {COUNTS}\n"
    assert await filled.conversations() == {"bob": 1}

    done = chatkeep("erase", "--user", "alice", "--yes", DATABASE_URL=filled.url)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "chatkeep: There is no user 'alice'.\n"


@pytest.mark.parametrize("answer", ["n", "y"])
async def test_what_would_go_is_shown_and_only_a_yes_erases_it(filled: Filled, answer: str) -> None:
    with on_a_terminal(filled.url, "--user", "alice", "--even-retained") as (process, keyboard):
        shown = asked(process)
        before = await filled.conversations()
        os.write(keyboard, f"{answer}\n".encode())
        out, err = process.communicate(timeout=PATIENCE)

    assert shown.startswith(f"User 'alice' has {COUNTS}.\n")
    assert before == {"alice": 2, "bob": 1}
    if answer == "y":
        assert (process.returncode, out) == (0, f"deleted of user 'alice': {COUNTS}\n")
        assert await filled.conversations() == {"bob": 1}
    else:
        assert (process.returncode, out) == (1, "")
        assert "nothing was deleted" in err
        assert await filled.conversations() == before


async def test_an_interrupt_at_the_question_erases_nothing(filled: Filled) -> None:
    with on_a_terminal(filled.url, "--user", "alice", "--even-retained") as (process, _):
        asked(process)
        # One that comes just before Python begins to read is seen only after the next key.
        while process.poll() is None:
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(process.wait, timeout=5)
        out, err = process.communicate(timeout=PATIENCE)

    assert (process.returncode, out) == (1, "")
    assert "Traceback" not in err
    assert await filled.conversations() == {"alice": 2, "bob": 1}


async def test_an_interrupt_while_it_erases_leaves_all_of_it(filled: Filled) -> None:
    """Somebody else's lock makes it last long enough to be interrupted."""
    watching = await asyncpg.connect(**connect_args(filled.url))
    process = subprocess.Popen(  # noqa: ASYNC220 - to start one takes milliseconds
        [CHATKEEP, "erase", "--user", "alice", "--yes", "--even-retained"],
        cwd=PROJECT,
        env=environment(DATABASE_URL=filled.url),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    try:
        async with filled.connection.transaction(), asyncio.timeout(PATIENCE):
            await filled.connection.execute("SELECT FROM messages FOR UPDATE")
            while not await watching.fetchval(WAITING):  # noqa: ASYNC110 - nobody announces it
                await asyncio.sleep(0.05)
            process.send_signal(signal.SIGINT)
            out, err = await asyncio.to_thread(process.communicate, timeout=PATIENCE)
    finally:
        process.kill()
        await watching.close()

    assert (process.returncode, out) == (1, "")
    assert "Traceback" not in err
    assert await filled.conversations() == {"alice": 2, "bob": 1}


@pytest.mark.parametrize("arguments", [["--even-retained"], []])
async def test_a_hold_or_an_unknown_user_is_told_before_anybody_is_asked(
    filled: Filled, arguments: list[str]
) -> None:
    user = "nobody" if arguments else "alice"
    with on_a_terminal(filled.url, "--user", user, *arguments) as (process, _):
        out, err = process.communicate(timeout=PATIENCE)

    assert (process.returncode, out) == (1, "")
    assert "[y/N]" not in err
    assert ("There is no user 'nobody'." if arguments else filled.held) in err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "Missing option '--user'"),
        (["--user"], "Option '--user' requires an argument"),
        (["--user", "", "--yes"], "Invalid value for '--user': is empty"),
        (["--user", "u" * 256, "--yes"], "has 256 characters; at most 255"),
        (["--user", "alice"], "add --yes to erase without asking"),
        (["--user", "alice", "--yes", "bob"], "unexpected extra argument (bob)"),
        (["--user", "alice", "--force"], "No such option"),
    ],
)
def test_a_mistake_in_the_command_is_told_and_touches_no_database(
    arguments: list[str], complaint: str
) -> None:
    done = CliRunner().invoke(cli, ["erase", *arguments], env={"DATABASE_URL": UNUSED})

    assert (done.exit_code, done.stdout) == (2, "")
    assert complaint in done.stderr


def test_a_database_that_is_away_is_one_clear_line() -> None:
    done = chatkeep("erase", "--user", "alice", "--yes", DATABASE_URL="not a url")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("chatkeep: ")
    assert done.stderr.count("\n") == 1
