"""A service of its own process, and what the checks that run in other processes are told of it."""

import os
from collections.abc import AsyncIterator

import pytest

from chatkeep.entrypoints.http.auth.tokens import sign
from tests.support.postgres import Server
from tests.support.processes import SECRET
from tests.support.service_process import running_on

SERVICE_KEY = "sk_one_0123456789abcdef0123456789"


@pytest.fixture(scope="module")
async def url(postgres_server: Server) -> AsyncIterator[str]:
    """Yield where a service of its own process listens."""
    async with running_on(postgres_server, CHATKEEP_SERVICE_KEYS=SERVICE_KEY) as service:
        yield service.url


def checked(url: str, name: str) -> dict[str, str]:
    """Return an environment with users of its own: some checks are about all that a user has."""
    users = {user: f"{user} of {name}" for user in ("alice", "bob")}
    return {
        **os.environ,
        **{f"CHECKED_{k.upper()}": sign(SECRET, user, expires_in=900) for k, user in users.items()},
        "CHECKED_URL": url,
        "CHECKED_USER": users["alice"],
        "CHECKED_SERVICE_KEY": SERVICE_KEY,
        "OPENAI_API_KEY": "unused",
    }
