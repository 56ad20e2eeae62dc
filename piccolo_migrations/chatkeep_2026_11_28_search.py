"""The search index of those users who search.

It is made of what is stored, so going back loses nothing that cannot be made again.
"""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from chatkeep.adapters.piccolo.sql_migration import sql_migration

ID = "2026-11-28T05:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "The search index"

# Filters look random: Postgres need not try to compress them, and reads them faster within the row.
CREATE = """
CREATE TABLE search_conversations (
    user_id varchar(255) NOT NULL,
    conversation_id uuid NOT NULL,
    version bigint NOT NULL,
    revision bigint NOT NULL,
    rest_before bigint,
    title_filter bytea NOT NULL,
    PRIMARY KEY (user_id, conversation_id),
    FOREIGN KEY (conversation_id, user_id) REFERENCES conversations (id, user_id) ON DELETE CASCADE
);

CREATE TABLE search_segments (
    user_id varchar(255) NOT NULL,
    conversation_id uuid NOT NULL,
    first bigint NOT NULL,
    last bigint NOT NULL,
    mark bigint NOT NULL,
    places bytea NOT NULL,
    filter bytea NOT NULL,
    PRIMARY KEY (user_id, conversation_id, first),
    FOREIGN KEY (user_id, conversation_id)
      REFERENCES search_conversations (user_id, conversation_id) ON DELETE CASCADE
) WITH (toast_tuple_target = 8160);
ALTER TABLE search_segments ALTER COLUMN filter SET STORAGE EXTERNAL;
CREATE INDEX idx_search_segments_last ON search_segments (user_id, last DESC);
"""
DROP = """
DROP TABLE search_segments;
DROP TABLE search_conversations;
"""


async def forwards() -> MigrationManager:
    return sql_migration(ID, DESCRIPTION, forwards=CREATE, backwards=DROP)
