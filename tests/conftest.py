"""Fixtures for all tests, and the order and the report of a run."""

import gc
import os
import signal
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator

import asyncpg
import hypothesis
import pytest

from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.stores import piccolo_stores
from chatkeep.domain.operations.selftest.store import StoreUnderTest
from chatkeep.entrypoints.http import snapshots
from tests.support import postgres
from tests.support.service_process import FULL

# How long an example takes says nothing on a busy machine. Runs try the same examples each time, so
# that one which fails has found a fault of what was changed; a full one tries more.
# CHATKEEP_TEST_EXAMPLES is the number of new ones to try instead.
hypothesis.settings.register_profile("short", deadline=None, max_examples=25, derandomize=True)
hypothesis.settings.register_profile("full", deadline=None, max_examples=100, derandomize=True)
EXAMPLES = os.environ.get("CHATKEEP_TEST_EXAMPLES")
if EXAMPLES:
    hypothesis.settings.register_profile("new", deadline=None, max_examples=int(EXAMPLES))
hypothesis.settings.load_profile("new" if EXAMPLES else "full" if FULL else "short")

# A background run of a script ignores Ctrl-C, and so would the commands that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

# They need a cluster: `make test-citus` runs them.
collect_ignore = [] if os.environ.get("CHATKEEP_TEST_CITUS") == "1" else ["citus"]

# The longest ones first: else one process works on them in the end while the others wait.
_ORDER = ("browser", "e2e", "api", "contract", "unit")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not FULL:
        left_out = [item for item in items if item.get_closest_marker("full")]
        items[:] = [item for item in items if not item.get_closest_marker("full")]
        config.hook.pytest_deselected(items=left_out)
    for item in items:
        if "postgres_server" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.postgres)
    ranks = {name: rank for rank, name in enumerate(_ORDER)}
    items.sort(key=lambda item: ranks.get(_directory(item.nodeid), len(ranks)))


def pytest_collection_finish() -> None:
    """Exclude what exists now, all the modules, from later garbage collections."""
    gc.collect()
    gc.freeze()


def pytest_report_header() -> str:
    run = "full" if FULL else "short, without tests marked `full` (CHATKEEP_TEST_FULL=1 runs all)"
    return f"Postgres: {postgres.BINARIES or 'the embedded one'}; a {run} run"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Report how long the tests of each directory took, including waits for other processes."""
    seconds: dict[str, float] = defaultdict(float)
    tests: dict[str, set[str]] = defaultdict(set)
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                seconds[_directory(report.nodeid)] += report.duration
                tests[_directory(report.nodeid)].add(report.nodeid)
    terminalreporter.section("time per directory")
    for name, total in sorted(seconds.items(), key=lambda each: -each[1]):
        terminalreporter.write_line(f"{total:7.1f} s, {len(tests[name]):5} tests  tests/{name}")


def _directory(nodeid: str) -> str:
    """Return `unit` of `tests/unit/test_context.py::...`."""
    return nodeid.split("/")[1] if nodeid.count("/") > 1 else ""


@pytest.fixture(scope="session", autouse=True)
def each_scrape_is_fresh() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(snapshots, "FRESH_SECONDS", 0)
        yield


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.Server]:
    with postgres.server() as server:
        yield server


@pytest.fixture
async def database_url(postgres_server: postgres.Server) -> AsyncIterator[str]:
    """Yield the URL of a migrated, empty database."""
    async with postgres_server.database() as url:
        yield url


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """Yield a connection to the database of `database_url`."""
    connection = await asyncpg.connect(**postgres.connect_args(database_url))
    yield connection
    await connection.close()


@pytest.fixture(scope="session")
async def pool(postgres_server: postgres.Server) -> AsyncIterator[Engine]:
    async with postgres_server.database() as url, postgres.pool(url) as engine:
        yield engine


@pytest.fixture
async def engine(pool: Engine) -> Engine:
    """Return an engine on an empty database; sharing one is faster than creating one."""
    await postgres.query(pool, "DELETE FROM users")
    await postgres.query(pool, "DELETE FROM audit_lines")
    return pool


@pytest.fixture
def postgres_store(engine: Engine) -> StoreUnderTest:
    return StoreUnderTest.of(piccolo_stores(engine))
