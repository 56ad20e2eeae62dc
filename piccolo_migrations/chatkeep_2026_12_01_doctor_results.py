"""The last result of `chatkeep doctor`: one row, for the overview. Numbers only."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from chatkeep.adapters.piccolo.sql_migration import sql_migration

ID = "2026-12-01T04:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "The last result of the doctor"

CREATE = """
CREATE TABLE doctor_results (
    id integer NOT NULL,
    at timestamptz NOT NULL,
    ok integer NOT NULL,
    warnings integer NOT NULL,
    failed integer NOT NULL,
    skipped integer NOT NULL,
    promises_kept integer NOT NULL,
    promises_broken integer NOT NULL,
    PRIMARY KEY (id)
);
"""
DROP = "DROP TABLE doctor_results"


async def forwards() -> MigrationManager:
    return sql_migration(ID, DESCRIPTION, forwards=CREATE, backwards=DROP)
