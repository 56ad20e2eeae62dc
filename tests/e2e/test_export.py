"""Exports on a real Postgres: by `chatkeep export`, and over HTTP from a real server."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from tests.support.processes import SECRET, chatkeep
from tests.support.service_process import ServiceProcess, as_user, running
from tests.support.waiting import PATIENCE, until

CALL = {"id": "c1", "type": "function", "function": {"name": "find", "arguments": "{}"}}
TALK: dict[str, Any] = {
    "title": "A talk",
    "created_at": "2024-05-01T10:00:00Z",
    "retain": True,
    "revision": 41,
    "metadata": {"a": [1, {"b": "\u2028"}]},
    "messages": [
        {"role": "user", "content": "find \u0000 it"},
        {"role": "assistant", "content": None, "tool_calls": [CALL], "metadata": {"m": 1}},
        {"role": "tool", "content": "found", "tool_call_id": "c1", "name": "find"},
    ],
}
ITEMS = [
    {"role": "user", "content": "hello"},
    {"type": "reasoning", "summary": [], "encrypted_content": "x", "n": 1.0},
    {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "hi"}]},
]
LONG = 20_000
"""Messages of 1,000 characters: more than the buffers between a server and its client hold."""


BUSY = """
SELECT query FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
  AND backend_type = 'client backend'
  AND (state <> 'idle' OR xact_start IS NOT NULL OR state_change > now() - interval '0.5 seconds')
"""


@pytest.fixture
async def service(database_url: str) -> AsyncIterator[ServiceProcess]:
    async with running(
        DATABASE_URL=database_url,
        CHATKEEP_JWT_SECRET=SECRET,
        CHATKEEP_MAX_REQUESTS_AT_ONCE_PER_USER="1",
    ) as service:
        yield service


async def store_long(connection: asyncpg.Connection, messages: int = LONG) -> None:
    await connection.execute("INSERT INTO users (id) VALUES ('alice')")
    [row] = await connection.fetch(
        "INSERT INTO conversations (user_id) VALUES ('alice') RETURNING id"
    )
    await connection.execute(
        "INSERT INTO messages (conversation_id, user_id, role, position, content) "
        "SELECT $1, 'alice', 'user', n, repeat('x', 1000) FROM generate_series(1, $2) AS n",
        row["id"],
        messages,
    )


async def read_on(chunks: AsyncIterator[bytes], got: bytearray) -> None:
    async for chunk in chunks:
        got += chunk


async def test_everything_comes_out_over_http_and_goes_in_again_the_same(
    service: ServiceProcess, database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "in.jsonl"
    file.write_text(json.dumps(TALK) + "\n" + json.dumps({"messages": []}), encoding="utf-8")
    settings = {"DATABASE_URL": database_url}
    done = await asyncio.to_thread(chatkeep, "import", file, "--user", "alice", **settings)
    assert done.returncode == 0, done.stderr
    alice = as_user("alice")
    made = await service.call("POST", "/openai/v1/conversations", {"items": ITEMS}, headers=alice)
    path = f"/openai/v1/conversations/{made['id']}/items?order=asc"
    items = await service.call("GET", path, headers=alice)

    answer = await service.http.get("/v1/me/export", headers=alice)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.headers["content-disposition"] == 'attachment; filename="conversations.jsonl"'
    lines = [json.loads(line) for line in answer.text.removesuffix("\n").split("\n")]
    assert len(lines) == 3
    [talk] = [line for line in lines if line["title"] == "A talk"]
    assert (talk["retain"], talk["revision"]) == (True, 41)
    assert "retain" not in lines[0]
    assert [message["content"] for message in talk["messages"]] == ["find \0 it", None, "found"]

    await service.call("DELETE", "/v1/me", headers=as_user("bob"))
    out = tmp_path / "out.jsonl"
    out.write_bytes(answer.content)
    done = await asyncio.to_thread(chatkeep, "import", out, "--user", "bob", **settings)
    assert done.stdout == "3 imported, 0 already there, 0 refused; 5 messages imported\n"
    again = await service.http.get("/v1/me/export", headers=as_user("bob"))
    assert again.content == answer.content
    assert await service.call("GET", path, headers=as_user("bob")) == items
    done = await asyncio.to_thread(chatkeep, "export", "--user", "bob", **settings)
    assert done.stdout.encode() == answer.content
    assert done.stderr == "3 conversations, 5 messages exported\n"


async def test_while_a_slow_client_reads_nothing_is_open_and_a_break_is_told_from_an_end(
    service: ServiceProcess, connection: asyncpg.Connection
) -> None:
    await store_long(connection)
    alice = as_user("alice")
    got = bytearray()
    async with service.http.stream("GET", "/v1/me/export", headers=alice) as answer:
        assert answer.status_code == 200
        chunks = answer.aiter_raw(65_536)
        got += await anext(chunks)
        async with asyncio.timeout(PATIENCE):  # until it has filled the buffers, and waits for us
            while True:
                if not await connection.fetch(BUSY):
                    break
                await asyncio.sleep(0.2)
        second = await service.http.get("/v1/me", headers=alice)
        assert second.status_code == 429
        await connection.execute("ALTER TABLE messages RENAME TO lost")
        with pytest.raises(httpx.RemoteProtocolError):
            await read_on(chunks, got)
    assert 65_536 <= len(got) < LONG * 1_000
    assert not got.endswith(b"\n")
    await until(lambda: "an export broke off" in service.log)
    await connection.execute("ALTER TABLE lost RENAME TO messages")
    answer = await service.http.get("/v1/me/export", headers=alice)
    assert len(json.loads(answer.content)["messages"]) == LONG


async def test_over_http_1_0_the_end_of_the_connection_is_that_of_the_export(
    service: ServiceProcess, connection: asyncpg.Connection
) -> None:
    await store_long(connection, messages=300)
    fields = "".join(f"{name}: {value}\r\n" for name, value in as_user("alice").items())
    head, _, body = (
        await service.raw(f"GET /v1/me/export HTTP/1.0\r\n{fields}\r\n".encode())
    ).partition(b"\r\n\r\n")
    assert b"200 OK" in head
    assert b"transfer-encoding" not in head
    assert b"content-length" not in head
    assert b"connection: close" in head
    answer = await service.http.get("/v1/me/export", headers=as_user("alice"))
    assert answer.headers["transfer-encoding"] == "chunked"
    assert body == answer.content
    assert len(json.loads(body)["messages"]) == 300


async def test_over_http_1_0_what_breaks_off_does_not_end_in_order(
    service: ServiceProcess, connection: asyncpg.Connection
) -> None:
    await store_long(connection)
    reader, writer = await asyncio.open_connection(*service.address)
    fields = "".join(f"{name}: {value}\r\n" for name, value in as_user("alice").items())
    writer.write(f"GET /v1/me/export HTTP/1.0\r\n{fields}\r\n".encode())
    await reader.readexactly(65_536)
    await connection.execute("ALTER TABLE messages RENAME TO lost")
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()


async def test_what_cannot_begin_is_a_problem_like_any_other(
    service: ServiceProcess, connection: asyncpg.Connection
) -> None:
    await connection.execute("ALTER TABLE conversations RENAME TO lost")
    answer = await service.http.get("/v1/me/export", headers=as_user("alice"))
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"


def test_other_formats_are_written_with_what_they_have_a_place_for(
    database_url: str, tmp_path: Path
) -> None:
    settings = {"DATABASE_URL": database_url}
    item = {"item": '{"id":"rs_1","type":"reasoning","summary":[]}'}
    line = TALK | {"messages": [item, *TALK["messages"]]}
    lines = json.dumps(line) + "\n" + json.dumps({"messages": []})
    done = chatkeep("import", "-", "--user", "alice", stdin=lines, **settings)
    assert done.stdout == "2 imported, 0 already there, 0 refused; 3 messages imported\n"

    out = tmp_path / "talks.md"
    done = chatkeep(
        *("export", "--user", "alice", "--format", "markdown", "--output", out), **settings
    )
    assert (done.returncode, done.stderr) == (0, "2 conversations, 3 messages exported\n")
    text = out.read_text(encoding="utf-8")
    assert "# A talk\n\n2024-05-01 10:00:00 UTC to " in text
    assert "Call c1 of find:\n\n```json\n{}\n```\n" in text

    done = chatkeep("export", "--user", "alice", "--format", "openai", **settings)
    [found] = done.stdout.splitlines()
    assert json.loads(found)["messages"] == [
        {"role": "user", "content": "find \0 it"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "content": "found", "tool_call_id": "c1", "name": "find"},
    ]
    exported, left_out = done.stderr.splitlines()
    assert exported == "2 conversations, 3 messages exported"
    assert left_out == (
        "left out, since the format has no place for it: 1 items that are not messages and "
        "1 conversations without messages"
    )


def test_a_file_that_cannot_be_written_is_one_clear_line(database_url: str, tmp_path: Path) -> None:
    missing = tmp_path / "missing" / "out.jsonl"
    done = chatkeep("export", "--user", "a", "--output", missing, DATABASE_URL=database_url)
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert str(missing) in line
