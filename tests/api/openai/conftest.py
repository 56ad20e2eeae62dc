"""One service with small limits, and a new user for each test."""

from collections.abc import AsyncIterator

import pytest

from tests.api.openai.wire import Wire
from tests.support.application import Service, serving, settings


@pytest.fixture(scope="package")
async def service() -> AsyncIterator[Service]:
    async with serving(settings(openai_max_body_bytes=200_000, max_item_bytes=100_000)) as service:
        yield service


@pytest.fixture
def alice(service: Service, request: pytest.FixtureRequest) -> Wire:
    return Wire(service, f"alice of {request.node.name}")
