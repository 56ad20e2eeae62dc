"""A service of its own process, and what the checks that run in other processes are told of it."""

import os
import re
import subprocess
from collections.abc import AsyncIterator

import pytest

from chatkeep.entrypoints.http.auth.tokens import sign
from tests.support.postgres import Server
from tests.support.processes import CHATKEEP, PROJECT, SECRET, environment

SERVICE_KEY = "sk_one_0123456789abcdef0123456789"


@pytest.fixture(scope="module")
async def url(postgres_server: Server) -> AsyncIterator[str]:
    """Yield where a service of its own process listens."""
    async with postgres_server.database() as database_url:
        process = subprocess.Popen(  # noqa: ASYNC220 - it is only started
            [CHATKEEP, "serve", "--port", "0"],
            cwd=PROJECT,
            env=environment(
                DATABASE_URL=database_url,
                CHATKEEP_JWT_SECRET=SECRET,
                CHATKEEP_SERVICE_KEYS=SERVICE_KEY,
            ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
        )
        assert process.stdout is not None
        with process, process.stdout:
            found = re.search(r"http://\S+(?=,)", process.stdout.readline())
            try:
                assert found
                yield found[0]
            finally:
                process.terminate()


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
