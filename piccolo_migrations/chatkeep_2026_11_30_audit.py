"""The audit: a line for each request of an operator about a user.

No key refers to users: a line stays when its user is erased, so that it tells of the erasure too.
"""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from chatkeep.adapters.piccolo.sql_migration import sql_migration

ID = "2026-11-30T02:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "The audit of what operators ask for"

CREATE = """
CREATE TABLE audit_lines (
    id uuid NOT NULL,
    user_id varchar(255) NOT NULL,
    operator text NOT NULL,
    action text NOT NULL,
    conversation_id text,
    message_id text,
    at timestamptz NOT NULL,
    PRIMARY KEY (id, user_id)
);
CREATE INDEX idx_audit_lines_at ON audit_lines (at DESC, id DESC);
CREATE INDEX idx_audit_lines_user_id ON audit_lines (user_id, at DESC, id DESC);
"""
DROP = "DROP TABLE audit_lines"


async def forwards() -> MigrationManager:
    return sql_migration(ID, DESCRIPTION, forwards=CREATE, backwards=DROP)
