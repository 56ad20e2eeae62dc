"""The minimum that a Python service must do: bare ASGI and asyncpg, one statement per request.

It has no framework, no authentication, and no validation beyond decoding; `X-User-Id` names the
caller. Its tables have the same keys and the same kind of indexes as chatkeep's, so that only the
Python code differs. No service with one worker should be faster.
"""

import os
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import msgspec

TABLES = """
CREATE TABLE IF NOT EXISTS users (id varchar(255) PRIMARY KEY);
CREATE TABLE IF NOT EXISTS conversations (
  id uuid NOT NULL,
  user_id varchar(255) NOT NULL REFERENCES users ON DELETE CASCADE,
  status varchar(20) NOT NULL DEFAULT 'active',
  message_count integer NOT NULL DEFAULT 0,
  last_position bigint NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (id, user_id)
) WITH (fillfactor = 70);
CREATE INDEX IF NOT EXISTS c_user ON conversations (user_id, updated_at DESC, id DESC);
CREATE TABLE IF NOT EXISTS messages (
  id uuid NOT NULL,
  conversation_id uuid NOT NULL,
  user_id varchar(255) NOT NULL,
  role varchar(20) NOT NULL,
  position bigint NOT NULL,
  content text NOT NULL,
  tool_calls jsonb,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (id, user_id),
  FOREIGN KEY (conversation_id, user_id) REFERENCES conversations (id, user_id) ON DELETE CASCADE
);
CREATE INDEX IF NOT EXISTS m_conversation ON messages (conversation_id, position);
"""

APPEND = """
WITH moved AS (
  UPDATE conversations
  SET message_count = message_count + 1, last_position = greatest($6, last_position + 1),
      updated_at = greatest($7, updated_at)
  WHERE id = $1 AND user_id = $2
  RETURNING id, user_id, last_position
)
INSERT INTO messages (id, conversation_id, user_id, role, content, position, created_at)
SELECT $3, id, user_id, $4, $5, last_position, $7 FROM moved
RETURNING id, conversation_id, role, content, created_at"""

HISTORY = """
SELECT m.id, m.role, m.content, m.tool_calls, m.created_at
FROM conversations c
LEFT JOIN LATERAL (
  SELECT * FROM messages
  WHERE user_id = $2 AND conversation_id = c.id ORDER BY position DESC LIMIT 20
) m ON true
WHERE c.id = $1 AND c.user_id = $2"""

LIST = """
SELECT id, status, message_count, created_at, updated_at FROM conversations
WHERE user_id = $1 ORDER BY updated_at DESC, id DESC LIMIT 20"""

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class NewMessage(msgspec.Struct):
    role: str
    content: str


decode = msgspec.json.Decoder(NewMessage).decode
encode = msgspec.json.Encoder().encode
pools: list[Any] = []


async def no_reset(_connection: object) -> None:
    """Skip the reset, which saves a round trip."""


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    [pool] = pools
    [user_id] = [value.decode() for name, value in scope["headers"] if name == b"x-user-id"]
    parts = scope["path"].split("/")
    answer: Any
    if len(parts) == len(["", "conversations"]):
        answer = [dict(row) for row in await pool.fetch(LIST, user_id)]
    elif scope["method"] == "POST":
        new = decode(await read_body(receive))
        now = time.time_ns() // 1000
        at = datetime.now(UTC)
        answer = dict(
            await pool.fetchrow(
                APPEND, UUID(parts[2]), user_id, uuid4(), new.role, new.content, now, at
            )
        )
    else:
        rows = await pool.fetch(HISTORY, UUID(parts[2]), user_id)
        answer = [dict(row) for row in reversed(rows)]
    body = encode(answer)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def read_body(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        part: bytes = message.get("body", b"")
        body += part
        if not message.get("more_body"):
            return body


async def lifespan(receive: Receive, send: Send) -> None:
    await receive()
    pool = await asyncpg.create_pool(
        os.environ["DATABASE_URL"], min_size=0, max_size=30, reset=no_reset
    )
    await pool.execute(TABLES)
    pools.append(pool)
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await pool.close()
    await send({"type": "lifespan.shutdown.complete"})
