"""Readers of answers that are being written get each chunk and message once, whatever breaks."""

from collections.abc import Iterator

import pytest

from tests.e2e.faults.live import FAULTS, SMALL, run
from tests.e2e.neon.load import figures
from tests.e2e.neon.servers import needs_pgbouncer
from tests.support import postgres
from tests.support.service_process import FULL

pytestmark = pytest.mark.skipif(not FULL, reason="takes long: only in a full run")


@pytest.fixture(scope="module")
def durable_server() -> Iterator[postgres.Server]:
    with postgres.server(durable=True) as server:
        yield server


@pytest.mark.parametrize(
    "pooled", [pytest.param(True, marks=needs_pgbouncer), False], ids=["pooled", "direct"]
)
async def test_readers_lose_nothing_though_workers_postgres_and_connections_fail(
    durable_server: postgres.Server, *, pooled: bool
) -> None:
    counts = await run(SMALL, durable_server, pooled=pooled)

    figures.info("%s", dict(counts))
    assert set(FAULTS) <= counts.keys()
    assert counts["chunks read"] == SMALL.drafts * SMALL.readers * SMALL.chunks
