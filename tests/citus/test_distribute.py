"""chatkeep distribute, as an operator runs it."""

import subprocess
from collections.abc import AsyncIterator

import asyncpg
import pytest

from chatkeep.adapters.piccolo.schema import SCHEMA
from tests.support import postgres
from tests.support.citus_cluster import CitusCluster, execute
from tests.support.processes import chatkeep

WITH_ROWS = """
INSERT INTO users SELECT 'user-' || n FROM generate_series(1, 20) n;
INSERT INTO tasks (user_id, title) SELECT id, 'buy milk' FROM users;
INSERT INTO conversations (id, user_id, message_count)
SELECT gen_random_uuid(), 'user-' || n, 2 FROM generate_series(1, 20) n;
INSERT INTO messages (conversation_id, user_id, role, position, content)
SELECT c.id, c.user_id, 'user', p, 'hello' FROM conversations c, generate_series(1, 2) p;
INSERT INTO conversation_sweeps (due, started_at) VALUES (now(), now());
INSERT INTO adoptions VALUES (gen_random_uuid(), now());
"""
PLACES = """
SELECT table_name::text AS name, citus_table_type AS type, distribution_column AS column,
       colocation_id AS colocation, shard_count AS shards
FROM citus_tables"""


@pytest.fixture
async def database_url(cluster: CitusCluster) -> AsyncIterator[str]:
    """Yield the URL of a migrated database of the cluster, which is not distributed."""
    async with cluster.database() as url:
        postgres.migrate(url)
        yield url


def distribute(url: str, *options: str) -> "subprocess.CompletedProcess[str]":
    return chatkeep("distribute", *options, DATABASE_URL=url)


async def fetch(url: str, sql: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    try:
        rows: list[asyncpg.Record] = await connection.fetch(sql)
        return rows
    finally:
        await connection.close()


async def test_a_database_with_rows_is_distributed_whole_and_only_once(database_url: str) -> None:
    await execute(database_url, WITH_ROWS)

    tried = distribute(database_url, "--dry-run")
    assert tried.returncode == 0, tried.stderr
    assert "messages  by user (user_id): to be done" in tried.stdout
    assert await fetch(database_url, PLACES) == []

    done = distribute(database_url)
    assert done.returncode == 0, done.stderr
    assert "2 nodes with rows; 17 of 17 tables were distributed now" in done.stdout

    places = {row["name"]: row for row in await fetch(database_url, PLACES)}
    assert {*SCHEMA, "users", "tasks", "migration"} == places.keys()
    by_user = {name for name, row in places.items() if row["type"] == "distributed"}
    assert places.keys() - by_user == {
        "conversation_sweeps",
        "doctor_results",
        "adoptions",
        "migration",
    }
    assert places["conversation_sweeps"]["type"] == places["doctor_results"]["type"] == "reference"
    assert len({places[name]["colocation"] for name in by_user}) == 1
    assert {places[name]["column"] for name in by_user - {"users"}} == {"user_id"}

    counts = (
        "SELECT (SELECT count(*) FROM users) AS users, (SELECT count(*) FROM tasks) AS tasks, "
        "(SELECT count(*) FROM messages) AS messages, (SELECT count(*) FROM adoptions) AS adopted"
    )
    assert [*map(dict, await fetch(database_url, counts))] == [
        {"users": 20, "tasks": 20, "messages": 40, "adopted": 1}
    ]
    left = await fetch(
        database_url,
        "SELECT logicalrelid::text FROM pg_dist_partition "
        "WHERE partmethod = 'h' AND pg_relation_size(logicalrelid) > 0",
    )
    assert left == []

    again = distribute(database_url)
    assert again.returncode == 0, again.stderr
    assert "0 of 17 tables were distributed now" in again.stdout


async def test_the_foreign_keys_and_statistics_are_kept(distributed: str) -> None:
    await execute(distributed, "DELETE FROM users", WITH_ROWS.partition("INSERT INTO tasks")[0])
    await execute(
        distributed,
        "INSERT INTO conversations (id, user_id) SELECT gen_random_uuid(), id FROM users",
        "INSERT INTO messages (conversation_id, user_id, role, position, content) "
        "SELECT id, user_id, 'user', 1, 'hello' FROM conversations",
    )

    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await execute(
            distributed,
            "INSERT INTO messages (conversation_id, user_id, role, position, content) "
            "VALUES (gen_random_uuid(), 'user-1', 'user', 1, 'hello')",
        )
    await execute(distributed, "DELETE FROM users WHERE id = 'user-1'")

    [row] = await fetch(distributed, "SELECT count(*) AS n FROM messages")
    assert row["n"] == 19
    statistics = "SELECT count(*) AS n FROM pg_statistic_ext WHERE stxname LIKE 'messages_owner%'"
    assert (await fetch(distributed, statistics))[0]["n"] == 1


async def test_a_unique_index_without_the_user_is_named(database_url: str) -> None:
    await execute(database_url, "CREATE UNIQUE INDEX only_one ON messages (text_id)")

    refused = distribute(database_url)

    assert refused.returncode == 1
    assert "unique index only_one of the table messages" in refused.stderr
    assert await fetch(database_url, PLACES) == []


async def test_a_table_that_refers_to_users_is_named(database_url: str) -> None:
    await execute(database_url, "CREATE TABLE orders (id int, owner varchar(255) REFERENCES users)")

    refused = distribute(database_url)

    assert refused.returncode == 1
    assert "The table orders, which is not chatkeep's, refers to users" in refused.stderr
    assert await fetch(database_url, PLACES) == []


async def test_users_of_another_application_must_be_distributed_by_their_owner(
    cluster: CitusCluster,
) -> None:
    async with cluster.database() as url:
        await execute(url, "CREATE TABLE users (id varchar(255) PRIMARY KEY, email text)")
        postgres.migrate(url)

        refused = distribute(url)
        assert refused.returncode == 1
        assert "belongs to another application" in refused.stderr

        await execute(url, "SELECT create_distributed_table('users', 'id')")
        done = distribute(url)
        assert done.returncode == 0, done.stderr
        assert "16 of 16 tables were distributed now" in done.stdout


async def test_a_worker_refuses_and_says_where_to_run_it(
    cluster: CitusCluster, distributed: str
) -> None:
    refused = distribute(cluster.url(distributed.rpartition("/")[2], 1))

    assert refused.returncode == 1
    assert "This is a worker of the cluster" in refused.stderr
