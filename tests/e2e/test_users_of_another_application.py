"""A table `users` that another application made, and that does not take everybody."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.entrypoints.bootstrap.service import http_app
from tests.api.builders import CONVERSATIONS, an_id, refused
from tests.e2e.doctor.examining import examine
from tests.support.application import Service, serving, settings
from tests.support.postgres import Server, connect_args
from tests.support.processes import chatkeep
from tests.support.service_process import some

SECRETS = ("api-key-of-zora", "zora@example.org", "tenant")
LAYOUTS = {
    "a column without a default": """
        ALTER TABLE users ADD COLUMN tenant text, ADD COLUMN key text DEFAULT 'api-key-of-zora';
        UPDATE users SET tenant = 'one'; ALTER TABLE users ALTER COLUMN tenant SET NOT NULL""",
    "a check": """
        ALTER TABLE users ADD COLUMN key text DEFAULT 'api-key-of-zora', ADD COLUMN tenant text
          DEFAULT 'none', ADD CONSTRAINT tenant_known CHECK (tenant <> 'none')""",
    "a key of another table": """
        CREATE TABLE tenants (id text PRIMARY KEY);
        ALTER TABLE users ADD COLUMN tenant text DEFAULT 'api-key-of-zora' REFERENCES tenants
          DEFERRABLE INITIALLY IMMEDIATE""",
    "ids that it makes itself": """
        DROP TABLE users CASCADE;
        CREATE TABLE users (tenant text, id text GENERATED ALWAYS AS ('u' || tenant) STORED UNIQUE)
        """,
    "shorter ids": """
        ALTER TABLE conversations DROP CONSTRAINT conversations_user_id_fkey;
        ALTER TABLE users ALTER COLUMN id TYPE varchar(36);
        ALTER TABLE conversations ADD CONSTRAINT conversations_user_id_fkey
          FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE""",
}
LONG = "a-subject-of-forty-characters-and-no-less"


async def execute(url: str, script: str) -> None:
    connection = await asyncpg.connect(**connect_args(url))
    try:
        await connection.execute(script)
    finally:
        await connection.close()


@asynccontextmanager
async def served(url: str) -> AsyncIterator[Service]:
    given = settings(database_url=url)
    engine = Engine(connect_args(url))
    async with serving(given, app=http_app(given, database=engine)) as service:
        yield service


@pytest.mark.parametrize("layout", some(LAYOUTS, every=3))
async def test_whoever_it_does_not_take_is_told_so_and_nothing_of_its_rows(
    database_url: str, layout: str, caplog: pytest.LogCaptureFixture
) -> None:
    await execute(database_url, LAYOUTS[layout])
    async with served(database_url) as service:
        stranger = service.user(LONG)
        line = {"messages": [{"role": "user", "content": "Hello"}]}
        answers = [
            await stranger.post(CONVERSATIONS, json=line),
            await stranger.put(f"{CONVERSATIONS}/{an_id()}"),
            await service.key().put(f"/v1/users/{LONG}"),
        ]
        item = await stranger.post("/openai/v1/conversations", json={"items": []})

    for answer in answers:
        problem = refused(answer, 403, "user-not-provisioned")
        assert ("41 characters" in problem["detail"]) is (layout == "shorter ids")
    assert item.status_code == 403
    for answer in (*answers, item):
        assert not [secret for secret in SECRETS if secret in answer.text]
    told = [each.getMessage() for each in caplog.records if "only an id" in each.getMessage()]
    assert told
    assert LONG not in caplog.text


async def test_shorter_ids_are_no_matter_for_those_who_have_them(database_url: str) -> None:
    await execute(database_url, LAYOUTS["shorter ids"])
    async with served(database_url) as service:
        answer = await service.user("alice").post(CONVERSATIONS, json={})
    found = await examine(database_url)

    assert answer.status_code == 201
    assert not found.failed
    assert found.warned == {"columns users.id"}
    assert "36 characters" in found.line("columns users.id").message


async def test_migrate_tells_that_longer_ids_will_be_refused(postgres_server: Server) -> None:
    async with postgres_server.database(template="template0") as url:
        await execute(url, "CREATE TABLE users (id varchar(20) PRIMARY KEY)")
        first = chatkeep("migrate", DATABASE_URL=url)
        await execute(url, "ALTER TABLE users ALTER COLUMN id TYPE text")
        second = chatkeep("migrate", DATABASE_URL=url)

    assert "users.id takes only 20 characters" in first.stderr
    assert "ALTER TABLE users" in first.stderr
    assert not second.stderr
