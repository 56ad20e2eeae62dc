"""Fixtures: a service in memory, and its clients of both kinds behind one interface."""

import re
from collections.abc import AsyncIterator, Callable, Iterator
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from threads import Threads

from chatkeep_client import AsyncChatkeep
from chatkeep_client.testing import MemoryService, memory_service

# Each store is tried in an environment that has its framework.
collect_ignore = [
    f"stores/test_{store}.py"
    for store, package in {
        "agent_framework": "agent_framework",
        "chatkit": "chatkit",
        "google_adk": "google",
        "langchain": "langchain_core",
        "llama_index": "llama_index",
        "openai_agents": "agents",
        "pydantic_ai": "pydantic_ai",
        "strands": "strands",
    }.items()
    if find_spec(package) is None
]

_numbers = count()


@pytest.fixture
def run_example() -> Callable[..., dict[str, Any]]:
    """Return a function that runs the example of docs/frameworks.md that has a word in it.

    It returns the names that the example leaves.
    """

    def run(word: str, **names: Any) -> dict[str, Any]:
        page = Path(__file__).parents[3] / "docs" / "frameworks.md"
        examples = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
        [example] = [each for each in examples if re.search(rf"\b{word}\b", each)]
        exec(compile(example, str(page), "exec"), names)
        return names

    return run


@pytest.fixture(scope="session")
def service() -> Iterator[MemoryService]:
    with memory_service() as service:
        yield service


@pytest.fixture
def someone() -> str:
    """Return the id of a new user."""
    return f"user {next(_numbers)}"


@pytest.fixture(params=["async", "sync"])
async def service_client(
    request: pytest.FixtureRequest, service: MemoryService
) -> AsyncIterator[AsyncChatkeep]:
    """Return a client of each kind, which acts for the user `service` of a test."""
    if request.param == "async":
        async with service.async_client() as client:
            yield client
    else:
        with service.client() as other:
            threads: Any = Threads(other)
            yield threads


@pytest.fixture
async def alice(
    request: pytest.FixtureRequest, service_client: Any, service: MemoryService
) -> AsyncIterator[AsyncChatkeep]:
    """Return a client of each kind, for a new user."""
    user = f"alice {next(_numbers)} ü"
    if isinstance(service_client, Threads):
        with service.client(user) as other:
            threads: Any = Threads(other)
            yield threads
    else:
        yield service_client.as_user(user)
