"""The daily sweeps of the service: one row for each due time.

Going back forgets them; today's sweep may then run again, which is harmless.
"""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from chatkeep.adapters.piccolo.sql_migration import sql_migration

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
    return sql_migration(ID, DESCRIPTION, forwards=CREATE, backwards=DROP)
