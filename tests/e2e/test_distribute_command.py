"""chatkeep distribute where there is no cluster. tests/citus has it where there is one."""

from tests.support.processes import chatkeep


def test_a_postgres_without_citus_is_told_how_to_get_it(database_url: str) -> None:
    for options in ((), ("--dry-run",)):
        refused = chatkeep("distribute", *options, DATABASE_URL=database_url)

        assert (refused.returncode, refused.stdout) == (1, "")
        assert "This Postgres has no Citus, which distribution needs. Install" in refused.stderr
        assert "CREATE EXTENSION citus" in refused.stderr
