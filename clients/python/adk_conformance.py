"""Runs the tests that Google's ADK has for all session services against the one of this package.

`python adk_conformance.py CHECKOUT`, with a checkout of google/adk-python, in an environment that
has `chatkeep-client[google-adk]` and what its tests need; the service is installed too or in the
PATH. Nothing is fetched. Tests of one of ADK's own services are left out. Options of pytest may
follow.
"""

import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio

from chatkeep_client.google_adk import ChatkeepSessionService
from chatkeep_client.testing import MemoryService, memory_service

TESTS: Final = "tests/unittests/sessions/test_session_service.py"
BACKENDS: Final[list[Any]] = []  # those that ADK's own tests are registered for
SERVICE: Final = "session_service"


@pytest.fixture(scope="session")
def chatkeep() -> Iterator[MemoryService]:
    with memory_service() as service:
        yield service


@pytest_asyncio.fixture
async def session_service(chatkeep: MemoryService) -> AsyncIterator[ChatkeepSessionService]:
    """Return a service that keeps nothing yet."""
    async with chatkeep.async_client() as client:
        yield ChatkeepSessionService(client)
        for user in (await client.list_users(limit=100)).items:
            await client.erase_user(user.id)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items[:] = [item for item in items if SERVICE in getattr(item, "fixturenames", ())]


def main(checkout: str, *options: str) -> int:
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / "sessions"
        package.mkdir()
        (package / "__init__.py").touch()
        (package / "_conformance.py").write_text(
            f"from {Path(__file__).stem} import BACKENDS, {SERVICE}\n", encoding="utf-8"
        )
        shutil.copy(Path(checkout) / TESTS, package)
        return int(
            pytest.main(
                [
                    "-p",
                    Path(__file__).stem,
                    "-q",
                    "--rootdir",
                    folder,
                    "-o",
                    "asyncio_default_fixture_loop_scope=function",
                    str(package),
                    *options,
                ]
            )
        )


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
