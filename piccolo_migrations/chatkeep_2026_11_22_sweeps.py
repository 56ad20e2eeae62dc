"""The sweeps that the service did by itself: a row for each that was due.

Going back forgets them; a sweep that was done today may then be done again, which is harmless.
"""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from chatkeep.adapters.piccolo.sql_migration import scripted

ID = "2026-11-22T10:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Daily sweeps"

CREATE = """
CREATE TABLE conversation_sweeps (
  due timestamptz PRIMARY KEY,
  started_at timestamptz NOT NULL,
  finished_at timestamptz,
  archived integer NOT NULL DEFAULT 0,
  deleted integer NOT NULL DEFAULT 0,
  messages bigint NOT NULL DEFAULT 0,
  retained integer NOT NULL DEFAULT 0
)"""
DROP = "DROP TABLE conversation_sweeps"


async def forwards() -> MigrationManager:
    return scripted(ID, DESCRIPTION, forwards=CREATE, backwards=DROP)
