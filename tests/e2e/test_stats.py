"""chatkeep stats: its counts are right, and it says what it cannot tell."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from click.testing import CliRunner

from chatkeep.adapters.embedded.postgres import ephemeral_postgres
from chatkeep.adapters.operator.stats import report as reports
from chatkeep.adapters.operator.stats.report import collect_stats
from chatkeep.adapters.operator.stats.statements import Countable
from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.sizes import sizes
from chatkeep.domain.operations.stats import Count, Stats, StatsOptions
from chatkeep.entrypoints.cli.stats import format_size, stats
from tests.support import postgres
from tests.support.postgres import Server, connect_args
from tests.support.processes import chatkeep

FILLED = "stats_filled"
BIGGEST = "11111111-1111-4111-8111-111111111111"

# Ann has a conversation of 2,000 messages and an empty one; bob has three with one message each. A
# third of ann's messages are from today, the others from yesterday.
FILL = f"""
INSERT INTO users VALUES ('ann'), ('bob'), ('idle');
INSERT INTO conversations (id, user_id, title, message_count, status, retain)
SELECT '{BIGGEST}', 'ann', 'a secret title', 2000, 'active', true
UNION ALL SELECT gen_random_uuid(), 'ann', NULL, 0, 'archived', false
UNION ALL SELECT gen_random_uuid(), 'bob', NULL, 1, 'active', false FROM generate_series(1, 3);
INSERT INTO messages (conversation_id, user_id, role, content, created_at)
SELECT '{BIGGEST}', 'ann', 'user', 'a secret message',
       now() - CASE WHEN n % 4 = 0 THEN interval '0' ELSE interval '1 day' END
FROM generate_series(1, 2000) n;
INSERT INTO messages (conversation_id, user_id, role, content, created_at)
SELECT id, user_id, 'user', 'old', '2020-01-01' FROM conversations WHERE user_id = 'bob';
"""


@pytest.fixture(scope="module")
async def filled(postgres_server: Server) -> AsyncIterator[str]:
    await postgres_server.execute(f"CREATE DATABASE {FILLED} TEMPLATE {postgres.TEMPLATE}")
    await postgres_server.execute(FILL, database=FILLED)
    yield postgres_server.of(FILLED)
    await postgres_server.execute(f"DROP DATABASE {FILLED}")


async def reported(url: str, **wanted: Any) -> Stats:  # noqa: ANN401 - fields of StatsOptions
    return await collect_stats(Engine(connect_args(url)), StatsOptions(**wanted))


def rows(found: Stats) -> list[int | None]:
    counts = [found.users, found.conversations, found.active, found.archived, found.retained]
    return [each.rows if each else None for each in (*counts, found.messages, found.items)]


async def test_it_counts_what_is_there(filled: str) -> None:
    found = await reported(filled, top=2)

    assert rows(found) == [3, 5, 4, 1, 1, 2003, 0]
    assert found.messages is not None
    assert not found.messages.estimated
    assert found.chatkeep_bytes == sum(each.bytes for each in found.relations)
    assert found.bytes_per_message == pytest.approx(found.chatkeep_bytes / 2003)
    assert found.database_bytes > found.chatkeep_bytes
    assert found.largest_conversations is not None
    biggest = found.largest_conversations[0]
    assert (str(biggest.id), biggest.messages) == (BIGGEST, 2000)
    assert found.largest_users is not None
    assert [(each.user_id, each.conversations, each.messages) for each in found.largest_users] == [
        ("ann", 2, 2000),
        ("bob", 3, 3),
    ]


async def test_the_bytes_of_originals_are_told(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = await asyncpg.connect(**connect_args(database_url))
    await connection.execute("""
        INSERT INTO users VALUES ('ann');
        INSERT INTO conversations (id, user_id) VALUES (gen_random_uuid(), 'ann');
        INSERT INTO messages (conversation_id, user_id, role, content, format, original)
        SELECT id, user_id, 'user', 'x', 'own', CASE WHEN n % 2 = 0 THEN repeat('o', 96) END
        FROM conversations, generate_series(1, 1000) n;
        INSERT INTO messages (conversation_id, user_id, role, content, format, original)
        SELECT id, user_id, 'user', 'x', 'own', (
          SELECT string_agg(md5(n::text), '') FROM generate_series(1, 4000) n)
        FROM conversations;
        ANALYZE messages""")
    await connection.close()
    found = (await reported(database_url)).originals
    assert found is not None
    assert (found.rows, found.estimated) == (501, False)
    assert 500 * 97 + 100_000 < found.bytes < 500 * 100 + 130_000

    monkeypatch.setattr(reports, "COUNTED_UP_TO", 999)
    estimated = (await reported(database_url)).originals
    assert estimated is not None
    assert estimated.estimated
    assert (await reported(database_url, exact=True)).originals == found


async def test_growth_is_counted_by_day_and_told_when_a_plan_is_full(filled: str) -> None:
    found = await reported(filled, days=3, plan=2**30)

    assert found.growth is not None
    counted = {day.day: day.messages for day in found.growth.days}
    today = found.at.astimezone(UTC).date()
    assert counted == {today - timedelta(2): 0, today - timedelta(1): 1500, today: 500}
    # The first message is a day old, so growth is computed over that day, not over three.
    assert found.growth.messages_per_day == pytest.approx(2000, rel=0.01)
    assert found.plan is not None
    assert found.plan.used == pytest.approx(found.database_bytes / 2**30)
    assert found.growth.bytes_per_day is not None
    left = (2**30 - found.database_bytes) / found.growth.bytes_per_day
    assert found.plan.days_left == pytest.approx(left)


async def test_too_few_messages_tell_nothing_of_their_size(database_url: str) -> None:
    found = await reported(database_url, plan=1)
    assert found.bytes_per_message is None
    assert found.growth is not None
    assert found.growth.bytes_per_day is None
    assert found.plan is not None
    assert found.plan.days_left is None
    assert found.plan.used > 1


async def test_large_tables_are_estimated_unless_all_are_to_be_counted(
    filled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = await asyncpg.connect(**connect_args(filled))
    await connection.execute("ANALYZE conversations, messages")
    await connection.close()
    monkeypatch.setattr(reports, "COUNTED_UP_TO", 100)
    estimated = await reported(filled)
    assert estimated.messages is not None
    assert estimated.messages.estimated
    assert estimated.conversations is not None
    assert not estimated.conversations.estimated

    exact = await reported(filled, exact=True)
    assert exact.messages == Count(2003, estimated=False)


async def test_what_takes_too_long_or_is_locked_is_left_out_and_said(
    filled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Countable.of("messages", "SELECT FROM messages, pg_sleep(10)")
    monkeypatch.setattr(reports, "MESSAGES", slow)
    monkeypatch.setattr(reports, "LOCK_TIMEOUT", "50ms")
    monkeypatch.setattr(reports, "ITEMS", Countable.of("items", "SELECT FROM locked"))
    locking = await asyncpg.connect(**connect_args(filled))
    await locking.execute("CREATE TABLE locked (id int)")
    try:
        async with locking.transaction():
            await locking.execute("LOCK TABLE locked")
            found = await reported(filled, seconds=0.3)
    finally:
        await locking.execute("DROP TABLE locked")
        await locking.close()

    assert found.messages is None
    assert found.items is None
    assert found.users == Count(3, estimated=False)
    assert [note.partition(":")[0] for note in found.notes[:2]] == ["messages", "items"]
    assert "--timeout" in found.notes[0]
    assert "locked" in found.notes[1]


async def test_a_role_that_may_only_read_is_enough(filled: str, postgres_server: Server) -> None:
    await postgres_server.execute(
        "CREATE ROLE looker LOGIN; ALTER ROLE looker SET default_transaction_read_only = on; "
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO looker",
        database=FILLED,
    )
    try:
        engine = Engine(connect_args(filled) | {"user": "looker"})
        found = await collect_stats(engine, StatsOptions())
    finally:
        await postgres_server.execute("DROP OWNED BY looker; DROP ROLE looker", database=FILLED)
    assert rows(found) == [3, 5, 4, 1, 1, 2003, 0]


async def test_dead_rows_and_the_last_vacuum_are_told(database_url: str) -> None:
    connection = await asyncpg.connect(**connect_args(database_url))
    await connection.execute("INSERT INTO users SELECT generate_series(1, 100)")
    await connection.execute("DELETE FROM users")
    await connection.execute("SELECT pg_stat_force_next_flush()")
    before = await reported(database_url)
    await connection.execute("VACUUM ANALYZE users")
    await connection.close()
    after = await reported(database_url)

    [users] = [each for each in before.vacuums if each.table == "users"]
    assert (users.dead_rows, users.vacuumed_at) == (100, None)
    [users] = [each for each in after.vacuums if each.table == "users"]
    assert users.dead_rows == 0
    assert users.vacuumed_at is not None
    assert datetime.now(UTC) - users.vacuumed_at < timedelta(minutes=5)


async def test_slow_statements_are_shown_without_what_was_given_to_them() -> None:
    with ephemeral_postgres(settings={"shared_preload_libraries": "pg_stat_statements"}) as url:
        await asyncio.to_thread(postgres.migrate, url)
        connection = await asyncpg.connect(**connect_args(url))
        await connection.execute("CREATE SCHEMA e; CREATE EXTENSION pg_stat_statements SCHEMA e")
        await connection.execute("SELECT *\n FROM messages WHERE content = 'secret'")
        await connection.execute("COMMENT ON TABLE messages IS 'secret'")
        await connection.close()
        found = await reported(url, top=1_000)

    assert found.slow_queries is not None
    texts = [each.query for each in found.slow_queries]
    assert "SELECT * FROM messages WHERE content = $1" in texts
    assert "secret" not in str(texts)
    assert all("messages" in text or "conversation" in text for text in texts)
    [selected] = [each for each in found.slow_queries if each.query.startswith("SELECT * FROM m")]
    assert selected.calls == 1
    assert 0 < selected.mean_ms == selected.total_ms


async def test_an_extension_that_does_not_work_is_told(database_url: str) -> None:
    connection = await asyncpg.connect(**connect_args(database_url))
    await connection.execute("CREATE EXTENSION pg_stat_statements")
    await connection.close()
    found = await reported(database_url)
    assert found.slow_queries is None
    assert "shared_preload_libraries" in found.notes[0]


async def test_it_says_that_slow_statements_are_not_recorded(filled: str) -> None:
    found = await reported(filled)
    assert found.slow_queries is None
    assert found.notes == ["slow queries: not recorded here (CREATE EXTENSION pg_stat_statements)"]


async def test_tables_and_indexes_of_others_are_not_counted(database_url: str) -> None:
    connection = await asyncpg.connect(**connect_args(database_url))
    await connection.execute(
        "CREATE TABLE theirs (id int PRIMARY KEY); COMMENT ON TABLE users IS 'the application''s'"
    )
    await connection.close()
    found = await sizes(Engine(connect_args(database_url)))
    tables = {each.table for each in found}
    assert "messages" in tables
    assert not tables & {"theirs", "users"}


async def test_partitions_are_added_up(postgres_server: Server) -> None:
    async with postgres_server.database(template="template0") as url:
        connection = await asyncpg.connect(**connect_args(url))
        await connection.execute(
            "CREATE TABLE messages (id int, content text) PARTITION BY RANGE (id); "
            "CREATE INDEX by_id ON messages (id); "
            "CREATE TABLE first PARTITION OF messages FOR VALUES FROM (0) TO (1000); "
            "CREATE TABLE second PARTITION OF messages DEFAULT; "
            "INSERT INTO messages SELECT n, repeat('x', 500) FROM generate_series(1, 2000) n; "
            "ANALYZE messages"
        )
        expected = await connection.fetchval(
            "SELECT pg_table_size('first') + pg_table_size('second')"
        )
        await connection.close()
        found = await sizes(Engine(connect_args(url)))
    assert [(each.kind, each.name, each.rows) for each in found] == [
        ("table", "messages", 2000),
        ("index", "by_id", None),
    ]
    assert found[0].bytes == expected > 1_000_000
    assert found[1].bytes > 2 * 8192


async def test_the_command_shows_numbers_and_ids_and_no_text_of_anybody(filled: str) -> None:
    people, machine = await asyncio.gather(
        asyncio.to_thread(chatkeep, "stats", "--plan", "512MB", DATABASE_URL=filled),
        asyncio.to_thread(chatkeep, "stats", "--plan", "0.5gb", "--json", DATABASE_URL=filled),
    )
    assert (people.returncode, people.stderr) == (0, "")
    shown = [line.split() for line in people.stdout.splitlines()]
    assert ["conversations", "5"] in shown
    assert ["messages", "2,003"] in shown
    assert [BIGGEST, "2,000", "ann"] in shown
    assert "% of 512.0 MB" in people.stdout
    assert "secret" not in people.stdout

    assert (machine.returncode, machine.stderr) == (0, "")
    numbers = json.loads(machine.stdout)
    assert numbers["plan"]["bytes"] == 512 * 2**20
    assert numbers["messages"] == {"rows": 2003, "estimated": False}
    assert numbers["largest_conversations"][0] == {
        "id": BIGGEST,
        "user_id": "ann",
        "messages": 2000,
    }


def test_every_key_of_the_json_is_in_the_help() -> None:
    said = CliRunner().invoke(stats, ["--help"]).output
    missing = [name for name in Stats.__dataclass_fields__ if name not in said]
    assert missing == []


@pytest.mark.parametrize("size", ["", "MB", "-5MB", "0", "5 apples", "1e9"])
def test_a_plan_that_is_no_size_is_a_usage_error(size: str) -> None:
    done = CliRunner().invoke(stats, ["--plan", size])
    assert done.exit_code == 2
    assert "512MB" in done.output


@pytest.mark.parametrize(
    ("size", "shown"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 kB"), (3 * 2**29, "1.5 GB"), (2**51, "2048.0 TB")],
)
def test_sizes_are_shown_in_units_of_1024(size: int, shown: str) -> None:
    assert format_size(size) == shown
