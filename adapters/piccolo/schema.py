"""The tables as the migrations leave them, for comparing a database with.

A test compares it with a database that was just migrated. Definitions are written as Postgres
writes them, less the names of index, table and schema; casts and parentheses that Postgres adds may
be left out (`adapters.operator.doctor.catalogue.same_definition`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Column:
    """`type` is as `format_type` has it, `default` an expression."""

    type: str
    nullable: bool = False
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """Each by its name. `indexes` are those that no constraint makes."""

    columns: Mapping[str, Column]
    indexes: Mapping[str, str]
    constraints: Mapping[str, str]
    statistics: Mapping[str, str]


_OF_CONVERSATION: Final = (
    "FOREIGN KEY (conversation_id, user_id) REFERENCES conversations(id, user_id) ON DELETE CASCADE"
)

TABLES: Final[Mapping[str, Table]] = {
    "conversations": Table(
        columns={
            "id": Column("uuid", default="gen_random_uuid()"),
            "user_id": Column("character varying(255)"),
            "title": Column("text", nullable=True),
            "status": Column("character varying(20)", default="'active'::character varying"),
            "metadata": Column("jsonb", default="'{}'::jsonb"),
            "message_count": Column("integer", default="0"),
            "last_position": Column("bigint", default="0"),
            "created_at": Column("timestamp with time zone", default="now()"),
            "updated_at": Column("timestamp with time zone", default="now()"),
            "retain": Column("boolean", default="false"),
        },
        indexes={
            "idx_conversations_updated_at": "USING brin (updated_at)",
            "idx_conversations_user_id": "USING btree (user_id, updated_at DESC, id DESC)",
            "idx_conversations_user_status": (
                "USING btree (user_id, updated_at DESC, id DESC) WHERE status = 'archived'"
            ),
        },
        constraints={
            "conversations_pkey": "PRIMARY KEY (id, user_id)",
            "conversations_status_check": "CHECK (status = ANY (ARRAY['active', 'archived']))",
            "conversations_user_id_fkey": (
                "FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE CASCADE"
            ),
        },
        statistics={},
    ),
    "messages": Table(
        columns={
            "id": Column("uuid", default="gen_random_uuid()"),
            "conversation_id": Column("uuid"),
            "user_id": Column("character varying(255)"),
            "role": Column("character varying(20)"),
            "position": Column(
                "bigint",
                default="(EXTRACT(epoch FROM clock_timestamp()) * 1000000)::bigint",
            ),
            "content": Column("text", nullable=True),
            "tool_calls": Column("jsonb", nullable=True),
            "tool_call_id": Column("text", nullable=True),
            "name": Column("text", nullable=True),
            "metadata": Column("jsonb", default="'{}'::jsonb"),
            "created_at": Column("timestamp with time zone", default="now()"),
            "item_id": Column("text", nullable=True),
            "item": Column("json", nullable=True),
        },
        indexes={
            "idx_messages_conversation_id": 'USING btree (conversation_id, "position")',
            "idx_messages_created_at": "USING brin (created_at)",
            "idx_messages_item_id": (
                "UNIQUE USING btree (conversation_id, item_id, user_id) WHERE item_id IS NOT NULL"
            ),
        },
        constraints={
            "messages_content_check": "CHECK (content IS NOT NULL OR tool_calls IS NOT NULL)",
            "messages_conversation_id_user_id_fkey": _OF_CONVERSATION,
            "messages_pkey": "PRIMARY KEY (id, user_id)",
            "messages_role_check": (
                "CHECK (role = ANY (ARRAY['user', 'assistant', 'system', 'developer', 'tool']))"
            ),
        },
        statistics={
            "messages_owner": "(dependencies) ON conversation_id, user_id",
        },
    ),
    "conversation_items": Table(
        columns={
            "conversation_id": Column("uuid"),
            "user_id": Column("character varying(255)"),
            "position": Column("bigint"),
            "item_id": Column("text"),
            "item": Column("json"),
            "created_at": Column("timestamp with time zone", default="now()"),
        },
        indexes={
            "idx_conversation_items_item_id": (
                "UNIQUE USING btree (conversation_id, item_id, user_id)"
            ),
        },
        constraints={
            "conversation_items_conversation_id_user_id_fkey": _OF_CONVERSATION,
            "conversation_items_pkey": 'PRIMARY KEY (conversation_id, "position", user_id)',
        },
        statistics={
            "conversation_items_owner": "(dependencies) ON conversation_id, user_id",
        },
    ),
    "conversation_keys": Table(
        columns={
            "conversation_id": Column("uuid"),
            "user_id": Column("character varying(255)"),
            "key": Column("text"),
            "digest": Column("text"),
            "first_position": Column("bigint"),
            "last_position": Column("bigint"),
            "created_at": Column("timestamp with time zone", default="now()"),
        },
        indexes={},
        constraints={
            "conversation_keys_conversation_id_user_id_fkey": _OF_CONVERSATION,
            "conversation_keys_pkey": "PRIMARY KEY (conversation_id, key, user_id)",
        },
        statistics={},
    ),
    "conversation_sweeps": Table(
        columns={
            "due": Column("timestamp with time zone"),
            "started_at": Column("timestamp with time zone"),
            "finished_at": Column("timestamp with time zone", nullable=True),
            "archived": Column("integer", default="0"),
            "deleted": Column("integer", default="0"),
            "messages": Column("bigint", default="0"),
            "retained": Column("integer", default="0"),
        },
        indexes={},
        constraints={
            "conversation_sweeps_pkey": "PRIMARY KEY (due)",
        },
        statistics={},
    ),
    "adoptions": Table(
        columns={
            "id": Column("uuid"),
            "run": Column("timestamp with time zone"),
        },
        indexes={},
        constraints={
            "adoptions_pkey": "PRIMARY KEY (id)",
        },
        statistics={},
    ),
}
