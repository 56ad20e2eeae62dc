"""Drafts, and their chunks.

A row of `drafts` is written again with every write of its producer. No index has the columns that
change then, and pages have room, so that Postgres can keep the new version on the same page.
Going back deletes all drafts; messages of finished ones stay.
"""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from chatkeep.adapters.piccolo.sql_migration import sql_migration

ID = "2026-11-28T03:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Drafts"

CREATE = """
CREATE TABLE drafts (
    user_id varchar(255) NOT NULL,
    conversation_id uuid NOT NULL,
    number bigint NOT NULL,
    id uuid NOT NULL,
    text_id text,
    epoch integer NOT NULL,
    status varchar(20) NOT NULL
        CHECK (status IN ('active', 'finished', 'interrupted', 'cancelled')),
    message_id uuid NOT NULL,
    message_text_id text,
    place text,
    format text NOT NULL,
    metadata jsonb NOT NULL,
    lease integer NOT NULL,
    next_chunk integer NOT NULL,
    bytes bigint NOT NULL,
    chars bigint NOT NULL,
    started_at timestamptz NOT NULL,
    progress_at timestamptz NOT NULL,
    ends_by timestamptz NOT NULL,
    ended_at timestamptz,
    position bigint,
    PRIMARY KEY (conversation_id, number, user_id),
    FOREIGN KEY (conversation_id, user_id) REFERENCES conversations (id, user_id) ON DELETE CASCADE
) WITH (fillfactor = 50);
CREATE UNIQUE INDEX idx_drafts_id ON drafts (conversation_id, id, user_id);
CREATE UNIQUE INDEX idx_drafts_active ON drafts (conversation_id, user_id)
    WHERE status = 'active';
CREATE INDEX idx_drafts_ended ON drafts (user_id, ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE draft_chunks (
    user_id varchar(255) NOT NULL,
    conversation_id uuid NOT NULL,
    draft bigint NOT NULL,
    seq integer NOT NULL,
    chunks text[] NOT NULL,
    bytes integer NOT NULL,
    PRIMARY KEY (conversation_id, draft, seq, user_id),
    FOREIGN KEY (conversation_id, draft, user_id)
        REFERENCES drafts (conversation_id, number, user_id) ON DELETE CASCADE
);
"""
DROP = """
DROP TABLE draft_chunks;
DROP TABLE drafts;
"""


async def forwards() -> MigrationManager:
    return sql_migration(ID, DESCRIPTION, forwards=CREATE, backwards=DROP)
