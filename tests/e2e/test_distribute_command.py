"""chatkeep distribute where there is no cluster. tests/citus has it where there is one."""

import asyncpg

from tests.support.postgres import connect_args
from tests.support.processes import chatkeep

AVAILABLE = "SELECT count(*) = 1 FROM pg_available_extensions WHERE name = 'citus'"


async def test_a_database_without_citus_is_told_how_to_get_it(database_url: str) -> None:
    connection = await asyncpg.connect(**connect_args(database_url))
    is_available = await connection.fetchval(AVAILABLE)
    await connection.close()
    reason = "This database does not use Citus" if is_available else "This Postgres has no Citus"
    for options in ((), ("--dry-run",)):
        refused = chatkeep("distribute", *options, DATABASE_URL=database_url)

        assert (refused.returncode, refused.stdout) == (1, "")
        assert reason in refused.stderr
        assert "CREATE EXTENSION citus" in refused.stderr
