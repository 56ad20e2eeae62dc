"""One application for all, since starting one takes longer than a test; every test has its users.

That they share a service and do not notice is what isolation means.
"""

from collections.abc import AsyncIterator
from itertools import count

import pytest

from tests.support.application import Caller, Service, serving, settings
from tests.support.json_schema import JsonObject

_numbers = count()


@pytest.fixture(scope="session")
async def service() -> AsyncIterator[Service]:
    async with serving(settings()) as service:
        yield service


@pytest.fixture(scope="session")
def document(service: Service) -> JsonObject:
    """Return the OpenAPI document."""
    return service.contract.document


@pytest.fixture
def alice(service: Service) -> Caller:
    return service.user(f"alice {next(_numbers)}")


@pytest.fixture
def bob(service: Service) -> Caller:
    return service.user(f"bob {next(_numbers)}")
