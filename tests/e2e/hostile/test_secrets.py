"""What the service writes about what it does: at the most talkative, still nothing of anybody's."""

import asyncio
import json
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from tests.e2e.hostile.issuer import AUDIENCE, ISSUER, issuing
from tests.support.postgres import Server, connect_args
from tests.support.processes import SECRET
from tests.support.relay import Relay
from tests.support.service_process import SERVICE_KEY, ServiceProcess, as_service, running
from tests.support.waiting import until

# Every logger there is says all it has to say.
TALKATIVE = """
import logging
import uvicorn
from chatkeep.entrypoints import logs
usual = logs.configuration
def configuration(settings):
    talkative = usual(settings)
    for logger in talkative["loggers"].values():
        logger["level"] = "DEBUG"
    talkative["root"] = {"handlers": ["stderr"], "level": "DEBUG"}
    return talkative
logs.configuration = configuration
class Config(uvicorn.Config):
    def __init__(self, *args, **options):
        super().__init__(*args, **options | {"log_level": "debug"})
uvicorn.Config = Config
"""
PASSWORD = "marker-of-a-password"
MARK = "marker-of-a-text"
TITLE = "marker-of-a-title"
METADATA = "marker-of-metadata"
CREDENTIAL = "marker-of-a-credential"
SECRETS = (PASSWORD, MARK, TITLE, METADATA, CREDENTIAL, SECRET, SERVICE_KEY)


@pytest.fixture
async def password_role(postgres_server: Server) -> str:
    """Return a role of which the server takes any password, since it trusts everybody."""
    await postgres_server.execute("DROP ROLE IF EXISTS talkative")
    await postgres_server.execute("CREATE ROLE talkative LOGIN SUPERUSER")
    return "talkative"


async def provoke(service: ServiceProcess, token: str) -> None:
    """Do whatever could make somebody write down what they were given."""
    alice = {"Authorization": f"Bearer {token}"}
    path = f"/v1/conversations/{uuid4()}"
    message = {"role": "user", "content": MARK, "metadata": {METADATA: METADATA}, "name": MARK}
    with_id = message | {"id": str(uuid4())}
    requests: list[tuple[str, str, object]] = [
        ("PUT", path, {"title": TITLE, "metadata": {METADATA: METADATA}}),
        ("POST", f"{path}/messages?context=20", message),
        ("POST", f"{path}/messages", with_id),
        ("POST", f"{path}/messages", with_id | {"content": f"other {MARK}"}),
        ("POST", f"{path}/messages", with_id | {"content": MARK * 1_000}),
        ("POST", f"{path}/messages", with_id | {"content": MARK, METADATA: METADATA}),
        ("POST", f"{path}/messages", message | {"role": MARK}),
        ("PATCH", path, {"title": TITLE * 100}),
        ("POST", "/v1/conversations", {"id": path.rpartition("/")[2], "title": TITLE}),
        ("GET", f"/v1/conversations?cursor={MARK}", None),
        ("GET", f"/v1/conversations/{MARK}", None),
        ("GET", f"/v1/{MARK}?{MARK}={MARK}", None),
        ("GET", path, None),
        ("GET", f"{path}/messages", None),
        ("GET", f"{path}/context?format=anthropic", None),
    ]
    headers = alice | {"Content-Type": "application/json"}
    for method, target, body in requests:
        content = None if body is None else json.dumps(body)
        await service.http.request(method, target, content=content, headers=headers)
    for broken in (f'{{"content": "{MARK}', f'{{"a": "{MARK}\ud800"}}', f'["{MARK}"]' * 2):
        await service.http.post(
            f"{path}/messages", content=broken.encode(errors="surrogatepass"), headers=headers
        )
    bad = (f"Bearer {CREDENTIAL}", f"Basic {CREDENTIAL}", f"{CREDENTIAL}", f"Bearer {token}x")
    for credentials in bad:
        await service.http.get("/v1/me", headers={"Authorization": credentials})
    both = as_service(MARK) | {"X-Request-ID": "of-the-test"}
    await service.http.get("/v1/me", headers=both)
    await service.raw(f"GET /{MARK} HTTP/1.1\r\nAuthorization : {CREDENTIAL}\r\n\r\n".encode())
    await service.raw(f"{CREDENTIAL}\r\n\r\n".encode())


async def test_no_log_holds_a_token_a_key_a_password_or_anything_of_a_conversation(
    postgres_server: Server, password_role: str
) -> None:
    async with issuing() as issuer, postgres_server.database() as url, Relay(url) as relay:
        through_relay = relay.url(user=password_role, password=PASSWORD)
        async with running(
            before=TALKATIVE,
            DATABASE_URL=through_relay,
            CHATKEEP_JWT_SECRET=SECRET,
            CHATKEEP_JWKS_URL=issuer.url,
            CHATKEEP_JWT_ISSUER=ISSUER,
            CHATKEEP_JWT_AUDIENCE=AUDIENCE,
            CHATKEEP_SERVICE_KEYS=SERVICE_KEY,
        ) as service:
            tokens = [issuer.sign("rsa", "RS256"), issuer.sign("ec", "ES256", aud="others")]
            for token in tokens:
                await provoke(service, token)
            # The same with a database that goes away in the middle, and one that is not migrated.
            await relay.refuse()
            relay.reset()
            talking = asyncio.create_task(provoke(service, tokens[0]))
            await asyncio.sleep(0.5)
            await relay.accept()
            await talking
            connection = await asyncpg.connect(**connect_args(url))
            await connection.execute("ALTER TABLE messages RENAME COLUMN content TO contents")
            await connection.close()
            await provoke(service, tokens[0])
            log = service.log
        server_log = await _server_log(postgres_server)

    assert "chatkeep.access: of-the-test GET /v1/me 200" in log
    assert "DEBUG" in log
    assert "the database is away" in log
    assert "contents" not in server_log or "ERROR" in server_log
    told = [*SECRETS, *(part for token in tokens for part in token.split("."))]
    for written in (log, server_log):
        assert [line for line in written.splitlines() if any(map(line.__contains__, told))] == []


async def _server_log(server: Server) -> str:
    connection = await asyncpg.connect(**connect_args(server.url))
    try:
        directory = Path(await connection.fetchval("SHOW data_directory"))
    finally:
        await connection.close()
    return (directory.parent / "server.log").read_text(encoding="utf-8")


async def test_a_database_that_cannot_be_had_is_told_without_its_password() -> None:
    url = f"postgresql://user:{PASSWORD}@127.0.0.1:1/none?sslmode=disable"
    async with running(before=TALKATIVE, DATABASE_URL=url, CHATKEEP_JWT_SECRET=SECRET) as service:
        await until(lambda: "the database is away" in service.log)
        answer = await service.http.get("/health/ready")
        assert answer.status_code == 503
        for told in (answer.text, service.log):
            assert PASSWORD not in told
        assert "127.0.0.1" not in answer.text
