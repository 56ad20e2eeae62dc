"""One service for all of these tests: that they do not harm each other is part of it."""

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.support.openapi_contract import Contract
from tests.support.postgres import Server
from tests.support.service_process import SERVICE_KEY, ServiceProcess, running_on


@pytest.fixture(scope="package")
async def service(postgres_server: Server) -> AsyncIterator[ServiceProcess]:
    """Yield the service; whatever was sent to it, it must not have been at a loss."""
    async with running_on(
        postgres_server,
        CHATKEEP_SERVICE_KEYS=SERVICE_KEY,
        CHATKEEP_MAX_REQUESTS_AT_ONCE_PER_USER="0",
        CHATKEEP_STREAM_IDLE_SECONDS="1",  # else a stream of events goes on for minutes
    ) as service:
        contract = Contract((await service.http.get("/docs/openapi.json")).json())

        async def check(answer: httpx.Response) -> None:
            await answer.aread()
            contract.check(answer)

        service.http.event_hooks = {"response": [check]}
        yield service
        assert await service.end() == 0
        assert "Traceback" not in service.log
        assert "ERROR" not in service.log


@pytest.fixture
def alice(request: pytest.FixtureRequest) -> str:
    """Return a user of this test's own."""
    return f"alice of {request.node.name}"[:255]
