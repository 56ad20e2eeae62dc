"""Legacy tables of various layouts, each with the same history of ann."""

from dataclasses import dataclass
from uuid import UUID

FIRST = UUID("5a0e2c2f-9d47-4c0b-8d3e-0d8f4b6a2f11")
SAID = UUID("0f3d7a52-6a5e-4a7e-9f0e-2d1f6a7b8c00")
CALLS = (
    '[{"id": "call_1", "type": "function", '
    '"function": {"name": "add_task", "arguments": "{\\"title\\": \\"milk\\"}"}}]'
)


@dataclass(frozen=True)
class Layout:
    """`script` creates and fills the tables. Fields without a column are not expected back."""

    script: str
    arguments: tuple[str, ...] = ()
    owner: str = "ann"
    title: str | None = "Groceries"
    status: str = "archived"
    conversation_id: UUID | None = None
    first_message_id: UUID | None = None
    created_at: str | None = "2024-03-01T10:00:00Z"
    times: tuple[str, ...] | None = (
        "2024-03-01T10:00:00.123456Z",
        "2024-03-01T10:00:00.123456Z",
        "2024-03-01T10:00:05Z",
        "2024-03-01T10:00:06Z",
    )
    tool_call_id: str = "call_1"
    has_calls: bool = True
    name: str | None = "add_task"
    metadata: bool = True


SERIAL_AND_NAIVE = Layout(
    f"""
CREATE TABLE old_conversations (
  id serial PRIMARY KEY, user_id varchar(255) NOT NULL, title varchar(200), status varchar(20),
  metadata text, created_at timestamp DEFAULT now(), updated_at timestamp DEFAULT now());
CREATE TABLE old_messages (
  id serial PRIMARY KEY, conversation_id integer REFERENCES old_conversations, role varchar(20),
  content text, tool_calls text, tool_call_id varchar(64), name varchar(64), metadata text,
  created_at timestamp DEFAULT now());
INSERT INTO old_conversations VALUES
  (7, 'ann', 'Groceries', 'archived', '{{"lang": "de"}}', '2024-03-01 10:00', '2024-03-01 10:00');
INSERT INTO old_messages VALUES
  (20, 7, 'user', 'Add milk', NULL, NULL, NULL, '{{"a": 1.50}}', '2024-03-01 10:00:00.123456'),
  (21, 7, 'assistant', NULL, '{CALLS}', NULL, NULL, NULL, '2024-03-01 10:00:00.123456'),
  (30, 7, 'tool', 'added', NULL, 'call_1', 'add_task', '', '2024-03-01 10:00:05'),
  (40, 7, 'assistant', 'Done', '', '', '', NULL, '2024-03-01 10:00:06');
"""
)
UUIDS_AND_JSONB = Layout(
    f"""
CREATE TABLE old_conversations (
  id uuid PRIMARY KEY, user_id text NOT NULL, title text, status text, metadata jsonb,
  created_at timestamptz, updated_at timestamptz);
CREATE TABLE old_messages (
  id uuid PRIMARY KEY, conversation_id uuid REFERENCES old_conversations, user_id text, role text,
  content text, tool_calls jsonb, tool_call_id text, name text, metadata jsonb,
  created_at timestamptz);
INSERT INTO old_conversations VALUES
  ('{FIRST}', 'ann', 'Groceries', 'closed', '{{"lang": "de"}}', '2024-03-01 10:00Z', NULL);
INSERT INTO old_messages VALUES
  ('{SAID}', '{FIRST}', 'ann', 'user', 'Add milk', NULL, NULL, NULL, '{{"a": 1.50}}',
   '2024-03-01 10:00:00.123456Z'),
  ('{SAID.hex[:-1]}1', '{FIRST}', 'ann', 'assistant', NULL, '{CALLS}', NULL, NULL, '{{}}',
   '2024-03-01 10:00:00.123456Z'),
  ('{SAID.hex[:-1]}3', '{FIRST}', NULL, 'assistant', 'Done', '[]', NULL, NULL, 'null',
   '2024-03-01 12:00:06+02'),
  ('{SAID.hex[:-1]}2', '{FIRST}', 'ann', 'tool', 'added', 'null', 'call_1', 'add_task', NULL,
   '2024-03-01 10:00:05Z');
""",
    conversation_id=FIRST,
    first_message_id=SAID,
)
MINIMAL = Layout(
    """
CREATE TABLE conversation (id bigserial PRIMARY KEY, user_id varchar(255));
CREATE TABLE message (
  id bigserial PRIMARY KEY, conversation_id bigint, role varchar(20), content text);
INSERT INTO conversation VALUES (1, 'ann');
INSERT INTO message VALUES
  (4, 1, 'assistant', 'Done'), (1, 1, 'user', 'Add milk'), (2, 1, 'assistant', ''),
  (3, 1, 'tool', 'added');
""",
    title=None,
    status="active",
    created_at=None,
    times=None,
    tool_call_id="old_3",
    has_calls=False,
    name=None,
    metadata=False,
)
OTHER_NAMES = Layout(
    f"""
CREATE TYPE speaker AS ENUM ('HUMAN', 'AI', 'FUNCTION');
CREATE DOMAIN spoken AS text;
CREATE TABLE chats (
  id smallint PRIMARY KEY, owner_id bigint, title text, state char(10), metadata_ json,
  created date, updated_at timestamptz);
CREATE TABLE chat_messages (
  id bigint PRIMARY KEY, chat_id bigint, sender speaker, body spoken, tool_calls json, name text,
  metadata json, created_at timestamptz);
INSERT INTO chats VALUES
  (-3, 42, 'Groceries', 'Closed', '{{"lang": "de"}}', '2024-03-01', '2024-03-01 10:00:00Z');
INSERT INTO chat_messages VALUES
  (-2, -3, 'HUMAN', 'Add milk', NULL, NULL, '{{"a": 1.50}}', '2024-03-01 10:00:00.123456Z'),
  (-1, -3, 'AI', NULL, '{CALLS}', NULL, NULL, '2024-03-01 10:00:00.123456Z'),
  (0, -3, 'FUNCTION', 'added', NULL, 'add_task', NULL, '2024-03-01 10:00:05Z'),
  (9, -3, 'AI', 'Done', NULL, NULL, NULL, '2024-03-01 10:00:06Z');
""",
    owner="42",
    created_at="2024-03-01T00:00:00Z",
    tool_call_id="old_0",
)
TEXT_IDS = Layout(
    f"""
CREATE TABLE old_conversations (
  id text PRIMARY KEY, user_id uuid, title text, status text, metadata jsonb,
  created_at timestamptz);
CREATE TABLE old_messages (
  id varchar(36) PRIMARY KEY, conversation_id varchar(36), user_id uuid, role text, content text,
  tool_calls text, tool_call_id text, name text, metadata jsonb, created_at timestamptz);
INSERT INTO old_conversations VALUES
  ('{FIRST}', '{SAID}', 'Groceries', 'ARCHIVED', '{{"lang": "de"}}', '2024-03-01 10:00Z');
INSERT INTO old_messages VALUES
  ('a', '{FIRST}', NULL, 'user', 'Add milk', NULL, NULL, NULL, '{{"a": 1.50}}',
   '2024-03-01 10:00:00.123456Z'),
  ('b', '{FIRST}', NULL, 'assistant', NULL, '{CALLS}', NULL, NULL, NULL,
   '2024-03-01 10:00:00.123456Z'),
  ('Z', '{FIRST}', NULL, 'tool', 'added', NULL, 'call_1', 'add_task', NULL,
   '2024-03-01 10:00:05Z'),
  ('B', '{FIRST}', NULL, 'model', 'Done', NULL, NULL, NULL, NULL, '2024-03-01 10:00:06Z');
""",
    owner=str(SAID),
    conversation_id=FIRST,
)
WITHOUT_USER = Layout(
    """
CREATE TABLE old_conversations (id serial PRIMARY KEY, title text, created_at timestamptz);
CREATE TABLE old_messages (
  id serial PRIMARY KEY, conversation_id text, role text, content text, tool_call_id text,
  name text, created_at timestamptz);
INSERT INTO old_conversations VALUES (1, 'Groceries', '2024-03-01 10:00Z');
INSERT INTO old_messages VALUES
  (1, '1', 'user', 'Add milk', NULL, NULL, '2024-03-01 10:00:00.123456Z'),
  (2, '1', 'assistant', '', NULL, NULL, '2024-03-01 10:00:00.123456Z'),
  (3, '1', 'tool', 'added', 'call_1', 'add_task', '2024-03-01 10:00:05Z'),
  (4, '1', 'assistant', 'Done', NULL, NULL, '2024-03-01 10:00:06Z');
""",
    arguments=("--user-id", "ann"),
    status="active",
    has_calls=False,
    metadata=False,
)
ALL = {
    "serial ids and naive times": SERIAL_AND_NAIVE,
    "uuids and jsonb": UUIDS_AND_JSONB,
    "hardly any columns": MINIMAL,
    "other names, enums, domains, dates, integer users": OTHER_NAMES,
    "texts as ids, uuids as users": TEXT_IDS,
    "no user, ids of different types": WITHOUT_USER,
}

SMALL = """
CREATE TABLE old_conversations (
  id integer PRIMARY KEY, user_id text, title text, created_at timestamptz);
CREATE TABLE old_messages (
  id integer PRIMARY KEY, conversation_id integer, role text, content text, tool_calls text,
  tool_call_id text, metadata text, created_at timestamptz);
INSERT INTO old_conversations VALUES (1, 'ann', 'One', '2024-03-01Z'), (2, 'bob', 'Two', NULL);
INSERT INTO old_messages (id, conversation_id, role, content, created_at) VALUES
  (1, 1, 'user', 'Hello', '2024-03-01 10:00Z'), (2, 1, 'assistant', 'Hi', '2024-03-01 10:01Z'),
  (3, 2, 'user', 'Anyone?', '2024-03-02 10:00Z');
"""
