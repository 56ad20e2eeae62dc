"""Any form of a Neon URL connects, encrypted and verified, with a password that nobody gets to see.

A relay speaks TLS in front of a Postgres that wants SCRAM; the names of Neon lead to it.
"""

import logging
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncpg
import pytest

from chatkeep.adapters.database_url import parse_database_url
from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.retries import Timing
from tests.e2e.neon.service import problem, service, timed
from tests.support import postgres
from tests.support.certificates import Authority
from tests.support.relay import Relay

PASSWORD = "npg_p@ss/word:50%?"
ENCODED = quote(PASSWORD, safe="")
OWNER = f"neondb_owner:{ENCODED}"
HOST = "ep-cool-darkness-123456.us-east-2.aws.neon.tech"
POOLED = HOST.replace("123456", "123456-pooler")

# What a person may paste, of a database that listens on {port}.
PASTED = {
    "as the console shows it": f"postgresql://{OWNER}@{HOST}:{{port}}/neondb"
    "?sslmode=require&channel_binding=require",
    "pooled": f"postgresql://{OWNER}@{POOLED}:{{port}}/neondb"
    "?sslmode=require&channel_binding=require",
    "as a command": f"psql 'postgresql://{OWNER}@{HOST}:{{port}}/neondb?sslmode=require'",
    "as a line of an env file": f'DATABASE_URL="postgresql://{OWNER}@{HOST}:{{port}}/neondb"',
    "of SQLAlchemy": f"postgresql+asyncpg://{OWNER}@{HOST}:{{port}}/neondb?ssl=require",
    "of Prisma": f"postgres://{OWNER}@{POOLED}:{{port}}/neondb"
    "?pgbouncer=true&connect_timeout=15&sslmode=require",
    "with the endpoint as an option": f"postgresql://{OWNER}@{HOST}:{{port}}/neondb"
    "?sslmode=require&options=endpoint%3Dep-cool-darkness-123456",
    "without any encryption asked for": f"postgresql://{OWNER}@{HOST}:{{port}}/neondb"
    "?sslmode=disable",
}
TIMING = Timing(connect=2, outage=2)


@dataclass
class Proxy:
    """Stands in for Neon's: `names` are those that clients asked for in the TLS handshake."""

    server_url: str
    authority: Authority
    names: list[str | None] = field(default_factory=list)

    @asynccontextmanager
    async def serving(self, tls: ssl.SSLContext) -> AsyncIterator[Relay]:
        tls.sni_callback = lambda _socket, name, _context: self.names.append(name)
        async with Relay(self.server_url, tls=tls) as relay:
            yield relay


@pytest.fixture(scope="module")
def scram_url() -> Iterator[str]:
    with postgres.server_with_passwords("neondb_owner") as url:
        yield url


@pytest.fixture
async def proxy(scram_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Proxy:
    authority = Authority.make(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))  # the system trusts it
    found = socket.getaddrinfo

    def lead_here(host: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - whatever it takes
        return found("127.0.0.1" if str(host).endswith(".neon.tech") else host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", lead_here)

    server = postgres.Server(scram_url)
    await server.execute("DROP DATABASE IF EXISTS neondb")
    await server.execute("DROP ROLE IF EXISTS neondb_owner")
    await server.execute(f"CREATE ROLE neondb_owner LOGIN PASSWORD '{PASSWORD}'")
    await server.execute("CREATE DATABASE neondb OWNER neondb_owner")
    return Proxy(server.of("neondb"), authority)


@pytest.mark.parametrize("pasted", PASTED.values(), ids=PASTED.keys())
async def test_what_people_paste_connects_encrypted_verified_and_with_its_password(
    proxy: Proxy, pasted: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with proxy.serving(proxy.authority.server("*.us-east-2.aws.neon.tech")) as relay:
        url = parse_database_url(pasted.format(port=relay.port))
        engine = Engine(url.connect_args, TIMING)
        await engine.start_connection_pool()
        try:
            [row] = await postgres.query(
                engine, "SELECT current_user AS who, :said::text AS said", said="hello"
            )
        finally:
            await engine.close_connection_pool()
        seen = repr(url) + str(url) + repr(engine) + caplog.text

    assert (row["who"], row["said"]) == ("neondb_owner", "hello")
    assert set(proxy.names) == {url.connect_args["host"]}
    assert PASSWORD not in seen
    assert ENCODED not in seen


async def test_a_wrong_password_is_refused_and_not_tried_over_and_over(proxy: Proxy) -> None:
    async with proxy.serving(proxy.authority.server(HOST)) as relay:
        url = PASTED["as the console shows it"].format(port=relay.port)
        async with service(url.replace(ENCODED, "npg_mistaken")) as caller:
            [first], seconds = await timed(caller.list())
            answers = [first, *[await caller.list() for _ in range(20)]]
            attempts = relay.accepted

    assert {problem(answer)["detail"] for answer in answers} == {
        "The database refuses this service."
    }
    assert seconds < 12  # else 15, as long as an outage is waited out
    assert attempts < 10


@pytest.mark.parametrize("which", ["of an unknown authority", "of another host"])
async def test_a_server_with_a_wrong_certificate_is_refused(
    proxy: Proxy, tmp_path: Path, which: str
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    tls = (
        Authority.make(other).server(HOST)
        if which == "of an unknown authority"
        else proxy.authority.server("ep-another.us-east-2.aws.neon.tech")
    )
    async with proxy.serving(tls) as relay:
        args = postgres.connect_args(PASTED["as the console shows it"].format(port=relay.port))
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncpg.connect(**args)
        passed_on = relay.requests

    assert passed_on == []


async def test_verify_full_is_as_strict_with_any_other_host(proxy: Proxy) -> None:
    form = (
        f"postgresql://{OWNER}@localhost:{{port}}/neondb?sslmode=verify-full&sslrootcert={{root}}"
    )
    root = quote(str(proxy.authority.file), safe="")
    async with proxy.serving(proxy.authority.server("localhost")) as relay:
        args = postgres.connect_args(form.format(port=relay.port, root=root))
        await (await asyncpg.connect(**args)).close()
    async with proxy.serving(proxy.authority.server("db.example.org")) as relay:
        args = postgres.connect_args(form.format(port=relay.port, root=root))
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncpg.connect(**args)


@pytest.mark.parametrize("fault", ["wrong certificate", "wrong password", "no database", "down"])
async def test_when_connecting_fails_nobody_gets_to_see_the_password(
    proxy: Proxy,
    fault: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    host = "ep-another.us-east-2.aws.neon.tech" if fault == "wrong certificate" else HOST
    async with proxy.serving(proxy.authority.server(host)) as relay:
        url = PASTED["as the console shows it"].format(port=relay.port)
        if fault == "no database":
            url = url.replace("/neondb?", "/elsewhere?")
        if fault == "wrong password":
            await postgres.Server(relay.upstream_url).execute(
                "ALTER ROLE neondb_owner PASSWORD 'another'"
            )
        if fault == "down":
            await relay.refuse()
        async with service(url, Timing(connect=10, outage=2)) as caller:
            answers = [await caller.list(), await caller.call("GET", "/health/ready")]
        engine = Engine(parse_database_url(url).connect_args, Timing(connect=10, outage=2))
        with pytest.raises(Exception, match="database") as caught:
            await postgres.query(engine, "SELECT 1")

    for answer in answers:
        problem(answer)
    cause: BaseException | None = caught.value
    said = []
    while cause is not None:
        said.append(repr(cause) + str(cause))
        cause = cause.__cause__
    logged = [record.exc_text or "" for record in caplog.records]
    seen = [*said, *logged, *(answer.text for answer in answers), caplog.text, *capfd.readouterr()]
    assert len(said) > 1
    assert "database" in caplog.text
    assert not any(secret in "".join(seen) for secret in (PASSWORD, ENCODED))
