"""The branches of conversations, and which conversations they were forked from.

Going back forgets the branches: all entries are then in one list, in the order of their positions.
"""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from chatkeep.adapters.piccolo.sql_migration import sql_migration

ID = "2026-11-27T05:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "The branches of conversations"

CREATE = """
ALTER TABLE conversations ADD COLUMN branch integer;
ALTER TABLE conversations ADD COLUMN forked_from text;
ALTER TABLE conversations ADD COLUMN forked_at text;

CREATE TABLE conversation_branches (
    conversation_id uuid NOT NULL,
    user_id varchar(255) NOT NULL,
    number integer NOT NULL,
    parent integer,
    left_at bigint NOT NULL,
    name text,
    firsts bigint[] NOT NULL,
    lasts bigint[] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (conversation_id, number, user_id),
    FOREIGN KEY (conversation_id, user_id) REFERENCES conversations (id, user_id) ON DELETE CASCADE
);
"""
DROP = """
DROP TABLE conversation_branches;
ALTER TABLE conversations DROP COLUMN forked_at;
ALTER TABLE conversations DROP COLUMN forked_from;
ALTER TABLE conversations DROP COLUMN branch;
"""


async def forwards() -> MigrationManager:
    return sql_migration(ID, DESCRIPTION, forwards=CREATE, backwards=DROP)
