"""Real servers in homes of their own, with processes that come, go and are killed."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from chatkeep.adapters.database_url import parse_database_url
from chatkeep.adapters.embedded import cluster as embedded_cluster
from chatkeep.adapters.embedded import postgres as embedded_postgres
from chatkeep.adapters.embedded.file_locks import open_lock, try_lock
from chatkeep.adapters.embedded.postgres import (
    DurablePostgres,
    EmbeddedPostgresError,
)
from tests.e2e.embedded.processes import (
    answers,
    ask,
    comes_true,
    end,
    home_directory,
    is_gone,
    kill,
    line_of,
    python,
)

USES_IT = """
import sys
from pathlib import Path
from chatkeep.adapters.embedded.postgres import DurablePostgres
server = DurablePostgres.start(Path(sys.argv[1]))
print(server.url, flush=True)
sys.stdin.readline()
server.stop()
"""
USES_IT_WITH_CHILDREN = """
import os, subprocess, sys, time
from pathlib import Path
from chatkeep.adapters.embedded.postgres import DurablePostgres
server = DurablePostgres.start(Path(sys.argv[1]))
executed = subprocess.Popen(["sleep", "60"], close_fds=False, stdout=subprocess.DEVNULL)
forked = os.fork()
if forked == 0:
    os.close(1)
    server.stop()
    time.sleep(60)
    os._exit(0)
print(server.url, executed.pid, forked, flush=True)
sys.stdin.readline()
"""


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """Make a home with its data; every test leaves its server stopped."""
    path = home_directory()
    DurablePostgres.start(path).stop()
    yield path
    shutil.rmtree(path)


def write(url: str, note: str) -> None:
    ask(
        url,
        "CREATE TABLE IF NOT EXISTS notes (note text)",
        f"INSERT INTO notes VALUES ('{note}')",
    )


def notes(url: str) -> str:
    return str(ask(url, "SELECT string_agg(note, ' ') FROM notes"))


def postmaster(home: Path) -> int:
    return int((home / "postgres/data/postmaster.pid").read_text().split()[0])


def is_free(lock: Path) -> bool:
    with open_lock(lock) as file:
        return try_lock(file)


def children_of(parent: int) -> list[int]:
    with subprocess.Popen(
        ["ps", "-A", "-o", "pid=,ppid="], stdout=subprocess.PIPE, text=True
    ) as ps:
        listed, _ = ps.communicate()
    pairs = [(int(pid), int(ppid)) for pid, ppid in map(str.split, listed.splitlines())]
    return [pid for pid, ppid in pairs if ppid == parent and pid != ps.pid]


def test_it_is_an_empty_database_of_ones_own(home: Path) -> None:
    with DurablePostgres.start(home) as server:
        assert ask(server.url, "SELECT current_user || ' ' || current_database()") == (
            "chatkeep chatkeep"
        )
        assert ask(server.url, "SHOW fsync") == "on"
        assert ask(server.url, "SHOW server_encoding") == "UTF8"
        assert int(str(ask(server.url, "SHOW max_connections"))) >= 200
        assert ask(server.url, "CREATE TABLE made_here ()") is None
        assert ask(server.url, "DROP TABLE made_here") is None


def test_the_last_process_out_stops_the_server(home: Path) -> None:
    first = python(USES_IT, home)
    url = line_of(first)
    second = python(USES_IT, home)
    assert line_of(second) == url
    end(first)
    assert answers(url)
    end(second)
    assert not answers(url)
    assert not (home / "postgres/data/postmaster.pid").exists()


def test_two_uses_in_one_process_count_as_two(home: Path) -> None:
    first, second = DurablePostgres.start(home), DurablePostgres.start(home)
    first.stop()
    first.stop()
    assert answers(second.url)
    second.stop()
    assert not answers(second.url)


def test_two_processes_that_start_at_once_share_one_server() -> None:
    home = home_directory()
    both = [python(USES_IT, home), python(USES_IT, home)]
    try:
        urls = {line_of(process) for process in both}
        assert len(urls) == 1
        assert answers(urls.pop())
    finally:
        for process in both:
            end(process)
        shutil.rmtree(home)


def test_when_its_only_user_is_killed_the_server_stops_and_keeps_the_data(home: Path) -> None:
    owner = python(USES_IT, home)
    url = line_of(owner)
    write(url, "of-the-killed")
    kill(owner)
    assert is_gone(url, within=10)
    with DurablePostgres.start(home) as server:
        assert "of-the-killed" in notes(server.url)


def test_data_survives_a_killed_server(home: Path) -> None:
    with DurablePostgres.start(home) as before:
        write(before.url, "before-the-crash")
        os.kill(postmaster(home), signal.SIGKILL)
        with DurablePostgres.start(home) as after:
            assert "before-the-crash" in notes(after.url)


def test_data_survives_when_everything_is_killed(home: Path) -> None:
    owner = python(USES_IT, home)
    url = line_of(owner)
    write(url, "before-the-end")
    for watchdog in children_of(owner.pid):
        os.kill(watchdog, signal.SIGKILL)
    os.kill(postmaster(home), signal.SIGKILL)
    kill(owner)
    assert (home / "postgres/data/postmaster.pid").exists()
    with DurablePostgres.start(home) as server:
        assert "before-the-end" in notes(server.url)


def test_a_server_that_outlived_everybody_is_joined_and_then_stopped(home: Path) -> None:
    owner = python(USES_IT, home)
    url = line_of(owner)
    running = postmaster(home)
    for watchdog in children_of(owner.pid):
        os.kill(watchdog, signal.SIGKILL)
    kill(owner)
    with DurablePostgres.start(home) as server:
        assert server.url == url
        assert postmaster(home) == running
    assert not answers(url)


def test_stale_files_that_name_a_living_process_do_no_harm(home: Path) -> None:
    server_account = "nobody" if os.geteuid() == 0 else None  # so that it could be signalled
    bystander = subprocess.Popen(["sleep", "60"], user=server_account)
    try:
        for name in ("postmaster.pid", ".s.PGSQL.5432.lock"):
            (home / "postgres/data" / name).write_text(f"{bystander.pid}\n{home}\n1\n5432\n")
        with DurablePostgres.start(home) as server:
            assert answers(server.url)
            os.kill(postmaster(home), signal.SIGKILL)
            assert comes_true(lambda: is_free(home / "server.lock"), within=5)
            pid_file = home / "postgres/data/postmaster.pid"
            pid_file.write_text(f"{bystander.pid}\n" + pid_file.read_text().partition("\n")[2])
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_children_of_a_killed_user_do_not_keep_the_server_up(home: Path) -> None:
    owner = python(USES_IT_WITH_CHILDREN, home)
    url, *children = line_of(owner).split()
    assert answers(url)
    kill(owner)
    try:
        assert is_gone(url, within=10)
        for child in children:
            os.kill(int(child), 0)  # is there still
    finally:
        for child in children:
            os.kill(int(child), signal.SIGKILL)


def test_the_server_is_out_of_reach_of_the_terminal(home: Path) -> None:
    before = children_of(os.getpid())
    with DurablePostgres.start(home):
        started = [child for child in children_of(os.getpid()) if child not in before]
        ours = {os.getsid(child) for child in [*started, postmaster(home)]}
        assert os.getsid(0) not in ours


def test_a_home_with_a_long_path_has_its_socket_elsewhere(home: Path) -> None:
    parent = home_directory()
    parent.chmod(0o711)
    long = parent / ("x" * 100) / "it's a $HOME, really"
    long.parent.mkdir(mode=0o711)
    home.rename(long)
    try:
        with DurablePostgres.start(long) as server:
            sockets = Path(parse_database_url(server.url).connect_args["host"])
            assert len(str(sockets)) < 60
            assert sockets.stat().st_mode & 0o777 == 0o700
            assert answers(server.url)
        assert not sockets.exists()
        sockets.mkdir(mode=0o777)
        sockets.chmod(0o777)
        with pytest.raises(EmbeddedPostgresError, match="not private to this user"):
            DurablePostgres.start(long)
        sockets.rmdir()
    finally:
        long.rename(home)
        shutil.rmtree(parent)


def test_a_home_of_another_postgres_is_refused(home: Path) -> None:
    version = home / "postgres/data/PG_VERSION"
    ours = version.read_text()
    version.write_text("16\n")
    try:
        with pytest.raises(EmbeddedPostgresError, match=r"created by Postgres 16, .*DATABASE_URL"):
            DurablePostgres.start(home)
    finally:
        version.write_text(ours)
    with DurablePostgres.start(home) as server:
        assert answers(server.url)


def test_a_server_that_does_not_start_says_what_its_log_says(home: Path) -> None:
    settings = home / "postgres/data/postgresql.auto.conf"
    before = settings.read_text()
    settings.write_text("work_mem = 'no size'\n")
    try:
        with pytest.raises(EmbeddedPostgresError, match=r"(?s)DATABASE_URL.*work_mem.*no size"):
            DurablePostgres.start(home)
    finally:
        settings.write_text(before)


def log_of(home: Path) -> Path:
    return home / "postgres/server.log"


def test_what_fails_leaves_nothing_in_the_log(home: Path) -> None:
    with DurablePostgres.start(home) as server:
        write(server.url, "once")
        before = log_of(home).stat().st_size
        with pytest.raises(asyncpg.UniqueViolationError):
            ask(
                server.url,
                "CREATE TABLE twice (id text PRIMARY KEY)",
                "INSERT INTO twice VALUES ('marker-of-an-id')",
                "INSERT INTO twice VALUES ('marker-of-an-id')",
            )
        ask(server.url, "DO $$ BEGIN RAISE WARNING 'marker-of-a-warning'; END $$")
        log = log_of(home)
        assert "marker" not in log.read_text()
        assert log.stat().st_size == before


def test_the_log_is_bounded_while_the_server_runs_and_goes_on_at_its_beginning(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_cluster, "MAX_LOG_BYTES", 20_000)
    monkeypatch.setattr(embedded_postgres, "CHECK_SECONDS", 0.05)
    log = log_of(home)
    line = "RAISE LOG 'line % %', i, repeat('x', 100);"
    lines = f"DO $$ BEGIN FOR i IN 1..500 LOOP {line} END LOOP; END $$"
    with DurablePostgres.start(home) as server, server.supervise():
        for _ in range(5):
            ask(server.url, lines)
            assert comes_true(lambda: log.stat().st_size < 20_000, within=20)
        assert 0 < log.with_suffix(".log.1").stat().st_size <= 20_000
        ask(server.url, "DO $$ BEGIN RAISE LOG 'the last'; END $$")
        assert "the last" in log.read_text()
        assert "\0" not in log.read_text()
