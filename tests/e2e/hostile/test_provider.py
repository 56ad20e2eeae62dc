"""A provider that drips its keys takes nobody else's time, and once healed it is believed."""

import asyncio
import time
from collections.abc import Iterator
from itertools import repeat

from tests.e2e.hostile.issuer import issuing
from tests.e2e.hostile.test_identity import settings, status
from tests.support.peers import peer
from tests.support.service_process import running
from tests.support.waiting import PATIENCE

# More fetches than there are threads, in less time than a drip lasts.
SOON = """
from chatkeep.entrypoints.http.auth import fetch
from chatkeep.entrypoints.http.auth import jwks
fetch.FETCH_SECONDS = jwks.RETRY_SECONDS = 0.05
"""
MANY = 12


async def test_the_service_goes_on_and_ends_while_its_provider_drips(database_url: str) -> None:
    heals = False

    async with issuing() as issuer:
        keys = issuer.published()

        def said() -> Iterator[bytes]:
            yield b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(keys)
            yield from [keys] if heals else repeat(b" ")

        with peer(said, 0.01) as issuer.url:
            async with running(before=SOON, **settings(database_url, issuer)) as service:
                token = issuer.sign("rsa", "RS256")
                for _ in range(MANY):
                    assert await status(service, token) == 503
                    await asyncio.sleep(0.05)
                asset = await service.http.get("/docs-assets/swagger-ui.css", timeout=PATIENCE)
                assert asset.status_code == 200
                heals = True
                await asyncio.sleep(0.05)
                assert await status(service, token) == 200

                heals = False
                await status(service, issuer.sign("rsa", "RS256", header={"kid": "of no key"}))
                began = time.monotonic()
                assert await service.end() == 0
                assert time.monotonic() - began < PATIENCE
                assert "Traceback" not in service.log
