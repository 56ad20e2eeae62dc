"""The schema as the migrations leave it, for comparing a database with.

Names, types and nulls of columns come from `tables`; here is what Piccolo cannot declare. A test
compares all of it with a database that was just migrated. Definitions are written as Postgres
prints them, without the names of index, table and schema. The casts and parentheses that Postgres
adds may be left out (see `same_definition` in the doctor's catalogue).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from piccolo.columns import Column
from piccolo.table import Table

from chatkeep.adapters.piccolo import tables
from chatkeep.adapters.piccolo.tables import table_name


@dataclass(frozen=True, slots=True)
class ColumnSchema:
    """`type` is as `format_type` prints it, `default` an expression."""

    type: str
    nullable: bool = False
    default: str | None = None


@dataclass(frozen=True, slots=True)
class TableSchema:
    """Definitions by name. `indexes` are those that no constraint makes."""

    columns: Mapping[str, ColumnSchema]
    indexes: Mapping[str, str]
    constraints: Mapping[str, str]
    statistics: Mapping[str, str]


def _table(
    table: type[Table],
    *,
    constraints: Mapping[str, str],
    defaults: Mapping[str, str] | None = None,
    indexes: Mapping[str, str] | None = None,
    statistics: Mapping[str, str] | None = None,
) -> tuple[str, TableSchema]:
    """Return a table's name and schema. `defaults` are the columns' expressions, by name."""
    columns = {
        column._meta.name: ColumnSchema(  # noqa: SLF001 - Piccolo's way of saying it
            _type(column),
            column._meta.null,  # noqa: SLF001 - the same
            (defaults or {}).get(column._meta.name),  # noqa: SLF001 - the same
        )
        for column in table._meta.columns  # noqa: SLF001 - the same
    }
    return table_name(table), TableSchema(columns, indexes or {}, constraints, statistics or {})


def _type(column: Column) -> str:
    name, bracket, length = column.column_type.lower().partition("(")
    return f"{_POSTGRES_NAMES.get(name, name)}{bracket}{length}"


_POSTGRES_NAMES: Final = {
    "timestamptz": "timestamp with time zone",
    "varchar": "character varying",
}
_OF_CONVERSATION: Final = (
    "FOREIGN KEY (conversation_id, user_id) REFERENCES conversations(id, user_id) ON DELETE CASCADE"
)

SCHEMA: Final[Mapping[str, TableSchema]] = dict(
    (
        _table(
            tables.Conversations,
            defaults={
                "id": "gen_random_uuid()",
                "status": "'active'::character varying",
                "metadata": "'{}'::jsonb",
                "message_count": "0",
                "last_position": "0",
                "revision": "0",
                "created_at": "now()",
                "updated_at": "now()",
                "retain": "false",
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
        ),
        _table(
            tables.Messages,
            defaults={
                "id": "gen_random_uuid()",
                "position": "(EXTRACT(epoch FROM clock_timestamp()) * 1000000)::bigint",
                "metadata": "'{}'::jsonb",
                "created_at": "now()",
            },
            indexes={
                "idx_messages_conversation_id": 'USING btree (conversation_id, "position")',
                "idx_messages_created_at": "USING brin (created_at)",
                "idx_messages_item_id": (
                    "UNIQUE USING btree (conversation_id, item_id, user_id) "
                    "WHERE item_id IS NOT NULL"
                ),
                "idx_messages_starts_context": (
                    'USING btree (conversation_id, "position") WHERE starts_context'
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
            statistics={"messages_owner": "(dependencies) ON conversation_id, user_id"},
        ),
        _table(
            tables.ConversationItems,
            defaults={"created_at": "now()"},
            indexes={
                "idx_conversation_items_item_id": (
                    "UNIQUE USING btree (conversation_id, item_id, user_id)"
                ),
            },
            constraints={
                "conversation_items_conversation_id_user_id_fkey": _OF_CONVERSATION,
                "conversation_items_pkey": 'PRIMARY KEY (conversation_id, "position", user_id)',
            },
            statistics={"conversation_items_owner": "(dependencies) ON conversation_id, user_id"},
        ),
        _table(
            tables.ConversationBranches,
            defaults={"created_at": "now()"},
            constraints={
                "conversation_branches_conversation_id_user_id_fkey": _OF_CONVERSATION,
                "conversation_branches_pkey": "PRIMARY KEY (conversation_id, number, user_id)",
            },
        ),
        _table(
            tables.ConversationChanges,
            defaults={"changed_at": "now()"},
            indexes={
                "idx_conversation_changes_changed_at": "USING brin (changed_at)",
                "idx_conversation_changes_user_id": "USING btree (user_id, changed_at)",
            },
            constraints={
                "conversation_changes_pkey": (
                    "PRIMARY KEY (conversation_id, revision, number, user_id)"
                ),
                "conversation_changes_user_id_fkey": (
                    "FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE CASCADE"
                ),
            },
        ),
        _table(
            tables.ConversationKeys,
            defaults={"created_at": "now()"},
            constraints={
                "conversation_keys_conversation_id_user_id_fkey": _OF_CONVERSATION,
                "conversation_keys_pkey": "PRIMARY KEY (conversation_id, key, user_id)",
            },
        ),
        _table(
            tables.DraftRows,
            indexes={
                "idx_drafts_active": (
                    "UNIQUE USING btree (conversation_id, user_id) WHERE status = 'active'"
                ),
                "idx_drafts_ended": ("USING btree (user_id, ended_at) WHERE ended_at IS NOT NULL"),
                "idx_drafts_forgotten": "USING btree (ended_at) WHERE ended_at IS NOT NULL",
                "idx_drafts_id": "UNIQUE USING btree (conversation_id, id, user_id)",
            },
            constraints={
                "drafts_conversation_id_user_id_fkey": _OF_CONVERSATION,
                "drafts_pkey": "PRIMARY KEY (conversation_id, number, user_id)",
                "drafts_status_check": (
                    "CHECK (status = ANY (ARRAY['active', 'finished', 'interrupted', 'cancelled']))"
                ),
            },
        ),
        _table(
            tables.DraftChunkRows,
            constraints={
                "draft_chunks_pkey": "PRIMARY KEY (conversation_id, draft, seq, user_id)",
                "draft_chunks_conversation_id_draft_user_id_fkey": (
                    "FOREIGN KEY (conversation_id, draft, user_id) "
                    "REFERENCES drafts(conversation_id, number, user_id) ON DELETE CASCADE"
                ),
            },
        ),
        _table(
            tables.SearchConversations,
            defaults={"index_version": "1"},
            constraints={
                "search_conversations_conversation_id_user_id_fkey": _OF_CONVERSATION,
                "search_conversations_pkey": "PRIMARY KEY (user_id, conversation_id)",
            },
        ),
        _table(
            tables.SearchSegments,
            indexes={
                "idx_search_segments_last": "USING btree (user_id, last DESC)",
            },
            constraints={
                "search_segments_pkey": "PRIMARY KEY (user_id, conversation_id, first)",
                "search_segments_user_id_conversation_id_fkey": (
                    "FOREIGN KEY (user_id, conversation_id) "
                    "REFERENCES search_conversations(user_id, conversation_id) ON DELETE CASCADE"
                ),
            },
        ),
        _table(
            tables.ConversationSweeps,
            defaults={"archived": "0", "deleted": "0", "messages": "0", "retained": "0"},
            constraints={"conversation_sweeps_pkey": "PRIMARY KEY (due)"},
        ),
        _table(
            tables.AuditLines,
            indexes={
                "idx_audit_lines_at": "USING btree (at DESC, id DESC)",
                "idx_audit_lines_user_id": "USING btree (user_id, at DESC, id DESC)",
            },
            constraints={"audit_lines_pkey": "PRIMARY KEY (id, user_id)"},
        ),
        _table(tables.DoctorResults, constraints={"doctor_results_pkey": "PRIMARY KEY (id)"}),
        _table(tables.Adoptions, constraints={"adoptions_pkey": "PRIMARY KEY (id)"}),
    )
)
