"""Changes of what was stored before, for readers who follow a conversation and were away.

Messages that are added need no row here. The rows of a deleted conversation stay until they are too
old; those of a deleted user go with the user.
"""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from chatkeep.adapters.piccolo.sql_migration import sql_migration

ID = "2026-11-28T04:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Changes of conversations, for those who follow them"

CREATE = """
CREATE TABLE conversation_changes (
    conversation_id uuid NOT NULL,
    user_id varchar(255) NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    revision bigint NOT NULL,
    number integer NOT NULL,
    kind text NOT NULL,
    message_id uuid,
    text_id text,
    changed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (conversation_id, revision, number, user_id)
);
CREATE INDEX idx_conversation_changes_user_id ON conversation_changes (user_id, changed_at);
CREATE INDEX idx_conversation_changes_changed_at ON conversation_changes USING brin (changed_at);
"""
DROP = "DROP TABLE conversation_changes"


async def forwards() -> MigrationManager:
    return sql_migration(ID, DESCRIPTION, forwards=CREATE, backwards=DROP)
