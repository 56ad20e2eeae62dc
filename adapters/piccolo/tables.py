"""The tables as Piccolo knows them: for its shell, its admin and the check of the schema.

The schema itself is made by the migrations, in SQL, since Piccolo cannot declare composite keys and
indexes. Composite keys: `conversations (id, user_id)`, `messages (id, user_id)`,
`conversation_items (conversation_id, position, user_id)` and
`conversation_keys (conversation_id, key, user_id)`.
"""

from typing import Final

from piccolo.columns import JSON, JSONB, UUID, BigInt, Boolean, Integer, Text, Timestamptz, Varchar
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.columns.defaults.uuid import UUID4
from piccolo.table import Table


class Users(Table, tablename="users"):
    id = Varchar(length=255, primary_key=True, default=None)
    created_at = Timestamptz(default=TimestamptzNow())


class Conversations(Table, tablename="conversations"):
    id = UUID(primary_key=True, default=UUID4())
    user_id = Varchar(length=255, default=None)
    title = Text(null=True, default=None)
    status = Varchar(length=20, default="active")
    metadata = JSONB(default="{}")
    retain = Boolean(default=False)
    message_count = Integer(default=0)
    last_position = BigInt(default=0)
    created_at = Timestamptz(default=TimestamptzNow())
    updated_at = Timestamptz(default=TimestamptzNow())


class Messages(Table, tablename="messages"):
    id = UUID(primary_key=True, default=UUID4())
    conversation_id = UUID(default=None)
    user_id = Varchar(length=255, default=None)
    role = Varchar(length=20, default=None)
    position = BigInt(default=None)
    content = Text(null=True, default=None)
    tool_calls = JSONB(null=True, default=None)
    tool_call_id = Text(null=True, default=None)
    name = Text(null=True, default=None)
    metadata = JSONB(default="{}")
    created_at = Timestamptz(default=TimestamptzNow())
    item_id = Text(null=True, default=None)
    item = JSON(null=True, default=None)


class ConversationItems(Table, tablename="conversation_items"):
    conversation_id = UUID(default=None)
    user_id = Varchar(length=255, default=None)
    position = BigInt(primary_key=True, default=None)
    item_id = Text(default=None)
    item = JSON(default=None)
    created_at = Timestamptz(default=TimestamptzNow())


class ConversationKeys(Table, tablename="conversation_keys"):
    conversation_id = UUID(default=None)
    user_id = Varchar(length=255, default=None)
    key = Text(primary_key=True, default=None)
    digest = Text(default=None)
    first_position = BigInt(default=None)
    last_position = BigInt(default=None)
    created_at = Timestamptz(default=TimestamptzNow())


class ConversationSweeps(Table, tablename="conversation_sweeps"):
    due = Timestamptz(primary_key=True, default=None)
    started_at = Timestamptz(default=None)
    finished_at = Timestamptz(null=True, default=None)
    archived = Integer(default=0)
    deleted = Integer(default=0)
    messages = BigInt(default=0)
    retained = Integer(default=0)


class Adoptions(Table, tablename="adoptions"):
    id = UUID(primary_key=True, default=None)
    run = Timestamptz(default=None)


TABLES: Final = (
    Users,
    Conversations,
    Messages,
    ConversationItems,
    ConversationKeys,
    ConversationSweeps,
    Adoptions,
)
