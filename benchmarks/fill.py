"""Fills a program's tables, in the same way for all three programs.

Messages are inserted in the order of their time, with the conversations taking turns, as in a real
service. So a conversation's messages lie on distant pages, and indexes grow as they do in use.
"""

import asyncio
from dataclasses import dataclass
from typing import Final

from benchmarks.postgres import connect
from benchmarks.programs import CHATKEEP, LIMIT, PEER, Conversation, Program
from benchmarks.texts import (
    ASSISTANT_MEDIAN,
    MAX_CHARS,
    MAX_USER_CHARS,
    SPREAD,
    STARTS,
    USER_MEDIAN,
    make_source,
)

# chatkeep's ids are ordered by time (UUIDv7); those of the other two are random.
_ID: Final = {
    CHATKEEP.name: (
        "(lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || "
        "substr(seed, 1, 3) || '8' || substr(seed, 4, 15))::uuid"
    ),
    PEER.name: "seed::uuid",
    LIMIT.name: "seed::uuid",
}

_CONVERSATIONS: Final = """
CREATE TEMPORARY TABLE filled AS
SELECT n, user_id, {id} AS id, at AS created_at, updated_at
FROM (
  SELECT n, md5('{label} user ' || n / {conversations})::uuid::text AS user_id,
         md5('{label} conversation ' || n) AS seed, at,
         at + {seconds} * interval '1 s' AS updated_at
  FROM (
    SELECT n, timestamptz '2026-01-01 UTC' + n * interval '1 s' AS at
    FROM generate_series(0, {users} * {conversations} - 1) AS n
  )
)"""

_USERS: Final = "INSERT INTO users (id) SELECT DISTINCT user_id FROM filled"

_COUNTED: Final = """
INSERT INTO conversations (id, user_id, created_at, updated_at, message_count, last_position)
SELECT id, user_id, created_at, updated_at, {messages}, extract(epoch FROM updated_at) * 1000000
FROM filled ORDER BY n"""

_INSERT_CONVERSATIONS: Final = {
    CHATKEEP.name: _COUNTED,
    PEER.name: """
INSERT INTO conversations (id, user_id, created_at, updated_at, status)
SELECT id, user_id, created_at, updated_at, 'active' FROM filled ORDER BY n""",
    LIMIT.name: _COUNTED,
}

_MESSAGES: Final = """
INSERT INTO messages (id, conversation_id, user_id, role, content, created_at{position})
SELECT {id}, conversation_id, user_id, role, substr($1, start, chars), at{position_value}
FROM (
  SELECT id AS conversation_id, user_id, md5(id::text || k) AS seed,
         created_at + k * ((updated_at - created_at) / {messages}) AS at,
         CASE k % 2 WHEN 1 THEN 'user' ELSE 'assistant' END AS role,
         1 + (random() * {starts})::integer AS start,
         greatest(1, CASE k % 2
           WHEN 1 THEN least({max_user}, {user_median} * exp(random_normal(0, {spread})))
           ELSE least({max_chars}, {assistant_median} * exp(random_normal(0, {spread}))) END
         )::integer AS chars
  FROM (SELECT * FROM filled, generate_series(1, {messages}) AS k ORDER BY k, n)
)"""

_POSITION_VALUE: Final = ", (extract(epoch FROM at) * 1000000)::bigint"


@dataclass(frozen=True, slots=True)
class Shape:
    """The number of users, of conversations per user, and of messages per conversation."""

    users: int
    conversations: int
    messages: int

    @property
    def rows(self) -> int:
        return self.users * self.conversations * self.messages


def fill(program: Program, url: str, label: str, shape: Shape) -> list[Conversation]:
    """Add users and their data. Return the conversations, ordered by user.

    Different labels create different users.
    """
    return asyncio.run(_fill(program, url, label, shape))


async def _fill(program: Program, url: str, label: str, shape: Shape) -> list[Conversation]:
    id_of = _ID[program.name]
    connection = await connect(url)
    try:
        # Foreign keys hold by construction, and checking them row by row is slow.
        await connection.execute("SET session_replication_role = replica; SET work_mem = '256MB'")
        await connection.execute("SELECT setseed(0.5)")
        await connection.execute(
            _CONVERSATIONS.format(
                id=id_of,
                label=label,
                users=shape.users,
                conversations=shape.conversations,
                seconds=shape.rows or shape.users * shape.conversations,
            )
        )
        await connection.execute(_USERS)
        await connection.execute(
            _INSERT_CONVERSATIONS[program.name].format(messages=shape.messages)
        )
        if shape.messages:
            await connection.execute(_format_messages(program, shape), make_source())
        rows = await connection.fetch("SELECT user_id, id FROM filled ORDER BY n")
    finally:
        await connection.close()
    return [Conversation(row["user_id"], row["id"]) for row in rows]


def _format_messages(program: Program, shape: Shape) -> str:
    ordered = program is not PEER
    return _MESSAGES.format(
        id=_ID[program.name],
        position=", position" if ordered else "",
        position_value=_POSITION_VALUE if ordered else "",
        messages=shape.messages,
        starts=STARTS,
        max_user=MAX_USER_CHARS,
        max_chars=MAX_CHARS,
        user_median=USER_MEDIAN,
        assistant_median=ASSISTANT_MEDIAN,
        spread=SPREAD,
    )
