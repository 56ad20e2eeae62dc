"""What the tables should be is what the migrations make, and whatever differs is named."""

from collections.abc import AsyncIterator

import pytest

from chatkeep.adapters.operator.doctor.catalogue import read_catalogue, same_definition
from chatkeep.adapters.piccolo.schema import SCHEMA
from tests.e2e.doctor.examining import (
    connected,
    examine,
    examine_all_but_promises,
    execute,
    promises,
)
from tests.support import postgres
from tests.support.service_process import some

INDEXES = [name for made in SCHEMA.values() for name in made.indexes]
OTHERS = {"users", "tasks", "migration"}

# What the loss of a constraint breaks, beside its own line.
CONVERSATION_KEYS = {
    f"constraints {table}_conversation_id_user_id_fkey"
    for table in (
        *("messages", "conversation_branches", "conversation_items", "conversation_keys"),
        "drafts",
        "search_conversations",
    )
}
BROKEN_WITHOUT = {
    "conversations_pkey": CONVERSATION_KEYS | promises("retry", "cascade", "erasure", "plain"),
    "conversations_status_check": promises("plain"),
    "conversations_user_id_fkey": promises("erasure", "plain"),
    "messages_content_check": promises("plain"),
    "messages_conversation_id_user_id_fkey": promises("cascade", "erasure", "plain"),
    "messages_pkey": promises("retry", "atomicity"),
    "messages_role_check": promises("plain"),
    "conversation_items_conversation_id_user_id_fkey": promises("cascade", "erasure", "plain"),
    "conversation_items_pkey": set[str](),
    "conversation_branches_conversation_id_user_id_fkey": set[str](),
    "conversation_branches_pkey": promises("branches"),
    "conversation_changes_pkey": promises(
        *("branches", "cascade", "counts", "edit", "hold", "isolation", "items", "revision"),
        *("truncation", "events"),
    ),
    "conversation_changes_user_id_fkey": set[str](),
    "conversation_keys_conversation_id_user_id_fkey": promises("cascade", "erasure", "plain"),
    "conversation_keys_pkey": promises("retry"),
    "drafts_conversation_id_user_id_fkey": set[str](),
    "drafts_pkey": {"constraints draft_chunks_conversation_id_draft_user_id_fkey"},
    "drafts_status_check": set[str](),
    "draft_chunks_conversation_id_draft_user_id_fkey": set[str](),
    "draft_chunks_pkey": set[str](),
    "search_conversations_conversation_id_user_id_fkey": set[str](),
    "search_conversations_pkey": {"constraints search_segments_user_id_conversation_id_fkey"},
    "search_segments_pkey": set[str](),
    "search_segments_user_id_conversation_id_fkey": set[str](),
    "conversation_sweeps_pkey": set[str](),
    "audit_lines_pkey": set[str](),
    "doctor_results_pkey": set[str](),
    "adoptions_pkey": set[str](),
}


async def test_the_expectation_is_what_the_migrations_make(database_url: str) -> None:
    async with connected(database_url) as connection, postgres.pool(database_url) as engine:
        rows = await connection.fetch(
            "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'f') "
            "AND relnamespace = 'public'::regnamespace"
        )
        assert {row["relname"] for row in rows} - OTHERS == set(SCHEMA)

        found = await read_catalogue(engine, SCHEMA)

    for name, expected in SCHEMA.items():
        made = found.tables[name]
        assert {column: (it.type, it.nullable) for column, it in made.columns.items()} == {
            column: (it.type, it.nullable) for column, it in expected.columns.items()
        }
        for part, wanted in (
            ({k: v.default or "" for k, v in made.columns.items()}, expected.columns),
            (made.indexes, expected.indexes),
            (made.constraints, expected.constraints),
            (made.statistics, expected.statistics),
        ):
            assert part.keys() == wanted.keys()
            for key, definition in part.items():
                want = wanted[key]
                text = want if isinstance(want, str) else want.default or ""
                assert same_definition(definition, text), (key, definition)


async def test_a_database_that_was_just_migrated_passes(database_url: str) -> None:
    found = await examine(database_url)

    assert (found.failed, found.warned, found.skipped) == (set(), set(), set())


async def test_indexes_that_were_dropped_are_named_with_how_to_make_them(
    database_url: str,
) -> None:
    await execute(database_url, f"DROP INDEX {', '.join(INDEXES)}")

    found = await examine(database_url)

    assert found.failed == {f"indexes {index}" for index in INDEXES}
    assert found.warned == found.skipped == set()
    for index in INDEXES:
        await execute(database_url, found.line(f"indexes {index}").fix)
    assert (await examine_all_but_promises(database_url)).failed == set()


async def test_one_index_that_was_dropped_is_one_line(database_url: str) -> None:
    await execute(database_url, "DROP INDEX idx_messages_item_id")

    assert (await examine(database_url)).failed == {"indexes idx_messages_item_id"}


@pytest.mark.parametrize("constraint", some(BROKEN_WITHOUT, every=7))
async def test_a_constraint_that_was_dropped_is_named_and_what_it_kept_is_found_broken(
    database_url: str, constraint: str
) -> None:
    [table] = [name for name, made in SCHEMA.items() if constraint in made.constraints]
    await execute(database_url, f"ALTER TABLE {table} DROP CONSTRAINT {constraint} CASCADE")

    found = await examine(database_url)

    assert found.failed == {f"constraints {constraint}", *BROKEN_WITHOUT[constraint]}
    assert found.warned == found.skipped == set()


def test_every_constraint_is_dropped_once() -> None:
    assert set(BROKEN_WITHOUT) == {name for made in SCHEMA.values() for name in made.constraints}


DIFFERENCES = {
    "ALTER TABLE messages ALTER tool_call_id TYPE varchar(300)": (
        "messages.tool_call_id",
        "TYPE text",
    ),
    "ALTER TABLE conversations ALTER last_position TYPE numeric": (
        "conversations.last_position",
        "TYPE bigint",
    ),
    "ALTER TABLE conversations ALTER metadata SET DEFAULT '[]'": (
        "conversations.metadata",
        "SET DEFAULT '{}'::jsonb",
    ),
    "ALTER TABLE conversations ALTER retain DROP NOT NULL": (
        "conversations.retain",
        "SET NOT NULL",
    ),
    "ALTER TABLE conversations ALTER status DROP DEFAULT": (
        "conversations.status",
        "SET DEFAULT 'active'",
    ),
    "ALTER TABLE messages ALTER name SET DEFAULT 'x'": ("messages.name", "DROP DEFAULT"),
    "ALTER TABLE messages ALTER content SET NOT NULL": ("messages.content", "DROP NOT NULL"),
}


async def test_columns_that_differ_are_named_with_the_way_back(database_url: str) -> None:
    await execute(database_url, ";".join(DIFFERENCES))

    found = await examine(database_url)

    columns = {f"columns {column}" for column, _ in DIFFERENCES.values()}
    # Without its default nothing can be inserted by hand, and calls of tools have no content.
    assert found.failed - promises("plain", "items") == columns
    assert found.warned == found.skipped == set()
    for column, way_out in DIFFERENCES.values():
        line = found.line(f"columns {column}")
        assert way_out in line.fix
        await execute(database_url, line.fix)
    assert (await examine(database_url)).failed == set()


@pytest.mark.parametrize(
    ("change", "line", "way_out"),
    [
        ("DROP STATISTICS messages_owner", "statistics messages_owner", "CREATE STATISTICS"),
        ("ALTER TABLE adoptions SET UNLOGGED", "tables adoptions", "SET LOGGED"),
        (
            "ALTER TABLE conversation_keys ALTER created_at DROP DEFAULT",
            "columns conversation_keys.created_at",
            "SET DEFAULT now()",
        ),
    ],
)
async def test_what_differs_is_one_line_with_the_way_back(
    database_url: str, change: str, line: str, way_out: str
) -> None:
    await execute(database_url, change)

    found = await examine(database_url)

    assert found.failed - promises("plain") == {line}
    assert found.warned == found.skipped == set()
    assert way_out in found.line(line).fix
    await execute(database_url, found.line(line).fix)
    assert (await examine_all_but_promises(database_url)).failed == set()


async def test_an_index_of_another_shape_is_no_substitute(database_url: str) -> None:
    await execute(
        database_url,
        "DROP INDEX idx_messages_conversation_id; "
        "CREATE INDEX idx_messages_conversation_id ON messages (conversation_id)",
    )

    found = await examine(database_url)

    assert found.failed == {"indexes idx_messages_conversation_id"}
    assert "position" in found.line("indexes idx_messages_conversation_id").message


async def test_an_index_under_another_name_serves_and_is_mentioned(database_url: str) -> None:
    await execute(database_url, "ALTER INDEX idx_messages_conversation_id RENAME TO mine")

    found = await examine(database_url)

    assert (found.failed, found.warned) == (set(), {"indexes idx_messages_conversation_id"})


async def test_constraints_under_other_names_serve(database_url: str) -> None:
    await execute(
        database_url,
        "ALTER TABLE messages RENAME CONSTRAINT messages_role_check TO mine; "
        "ALTER TABLE messages RENAME CONSTRAINT messages_pkey TO my_key",
    )

    found = await examine(database_url)

    assert (found.failed, found.warned) == (set(), set())


@pytest.mark.parametrize(
    ("index", "way_out"),
    [
        ("idx_messages_conversation_id", "REINDEX INDEX CONCURRENTLY idx_messages_conversation_id"),
        ("messages_pkey", "REINDEX INDEX CONCURRENTLY messages_pkey"),
        ("left_over", "DROP INDEX CONCURRENTLY left_over"),
    ],
)
async def test_an_invalid_index_is_named(database_url: str, index: str, way_out: str) -> None:
    await execute(
        database_url,
        "CREATE INDEX left_over ON messages (role); UPDATE pg_index SET indisvalid = false "
        f"WHERE indexrelid = '{index}'::regclass",
    )

    found = await examine_all_but_promises(database_url)

    assert f"indexes {index}" in found.failed
    assert found.line(f"indexes {index}").fix == way_out
    await execute(database_url, way_out)
    assert (await examine_all_but_promises(database_url)).failed == set()


async def test_a_table_that_is_missing_is_named_and_what_needs_it_is_skipped(
    database_url: str,
) -> None:
    await execute(database_url, "DROP TABLE conversation_items")

    found = await examine(database_url)

    assert found.failed == {"tables conversation_items"}
    assert found.skipped >= promises("cascade", "items", "plain") | {"counts"}
    assert not found.skipped & promises("create", "order", "text")


async def test_a_column_that_is_missing_is_named(database_url: str) -> None:
    await execute(database_url, "ALTER TABLE conversations DROP COLUMN retain")

    found = await examine(database_url)

    assert found.failed == {"columns conversations.retain"}
    assert found.skipped >= promises("create")
    await execute(database_url, found.line("columns conversations.retain").fix)
    assert (await examine_all_but_promises(database_url)).failed == set()


async def test_a_column_of_somebody_else_that_must_be_given_is_named(database_url: str) -> None:
    await execute(
        database_url,
        "ALTER TABLE messages ADD COLUMN note text NOT NULL, ADD COLUMN harmless text",
    )

    found = await examine(database_url)

    assert found.failed >= {"columns messages.note", "promise create"}
    assert not any("harmless" in each for each in found.failed | found.warned)


async def test_a_foreign_key_that_is_not_valid_is_named_and_its_orphans_are_counted(
    database_url: str,
) -> None:
    key = "messages_conversation_id_user_id_fkey"
    await execute(
        database_url,
        f"ALTER TABLE messages DROP CONSTRAINT {key}; "
        "INSERT INTO messages (conversation_id, user_id, role, content) "
        "SELECT gen_random_uuid(), 'ann', 'user', 'lost' FROM generate_series(1, 12); "
        f"ALTER TABLE messages ADD CONSTRAINT {key} FOREIGN KEY (conversation_id, user_id) "
        "REFERENCES conversations (id, user_id) ON DELETE CASCADE NOT VALID",
    )

    found = await examine(database_url)

    assert found.failed == {f"constraints {key}", "orphans messages"}
    orphans = found.line("orphans messages")
    assert orphans.message.startswith("12 rows")
    assert len(orphans.examples) == 10
    assert "'ann'" in orphans.examples[0]
    remove = orphans.fix.partition(": ")[2]
    await execute(database_url, f"{remove}; {found.line(f'constraints {key}').fix}")
    assert (await examine_all_but_promises(database_url)).failed == set()


async def test_constraints_that_are_switched_off_are_named(database_url: str) -> None:
    await execute(database_url, "ALTER TABLE messages DISABLE TRIGGER ALL")

    found = await examine(database_url)

    assert found.failed == {
        "constraints messages_conversation_id_user_id_fkey",
        "promise plain",
    }


async def test_a_dumped_and_restored_definition_is_the_same(database_url: str) -> None:
    """Postgres writes a restored check otherwise than the one that was dumped."""
    async with connected(database_url) as connection:
        for name in ("messages_role_check", "messages_content_check"):
            for _ in range(2):
                definition = await connection.fetchval(
                    "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = $1", name
                )
                await connection.execute(
                    f"ALTER TABLE messages DROP CONSTRAINT {name}; "
                    f"ALTER TABLE messages ADD CONSTRAINT {name} {definition}"
                )

    assert (await examine_all_but_promises(database_url)).failed == set()


@pytest.fixture
async def empty_url(postgres_server: postgres.Server) -> AsyncIterator[str]:
    async with postgres_server.database(template="template0") as url:
        yield url


async def test_a_database_of_somebody_elses_users_in_another_schema_passes(
    postgres_server: postgres.Server, empty_url: str
) -> None:
    name = empty_url.rpartition("/")[2].partition("?")[0]
    await execute(
        empty_url,
        f'CREATE SCHEMA "My Chat"; ALTER DATABASE {name} SET search_path = "My Chat"',
    )
    await execute(empty_url, "CREATE TABLE users (email text DEFAULT '', id text UNIQUE)")
    postgres.migrate(empty_url)

    found = await examine(empty_url)

    assert (found.failed, found.warned, found.skipped) == (set(), set(), set())


async def test_tables_that_the_search_path_does_not_lead_to_are_found_where_they_are(
    database_url: str,
) -> None:
    name = database_url.rpartition("/")[2].partition("?")[0]
    await execute(
        database_url,
        f"CREATE SCHEMA old; ALTER TABLE messages SET SCHEMA old; ALTER DATABASE {name} "
        "SET search_path = public",
    )

    found = await examine(database_url)

    assert found.failed == {"tables messages"}
    assert '"old"' in found.line("tables messages").fix


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ("users (id integer PRIMARY KEY)", "has the type integer"),
        ("users (id text)", "is not unique"),
        ("users (name text)", "is missing"),
    ],
)
async def test_users_that_cannot_own_anything_are_named(
    database_url: str, table: str, complaint: str
) -> None:
    await execute(database_url, f"DROP TABLE users CASCADE; CREATE TABLE {table}")

    found = await examine(database_url)

    assert "columns users.id" in found.failed
    assert complaint in found.line("columns users.id").message


async def test_an_unmigrated_database_is_one_line_of_each_kind(empty_url: str) -> None:
    found = await examine(empty_url)

    assert found.failed == {"migrations pending", "tables"}
    assert "chatkeep migrate" in found.line("migrations pending").fix
    assert {"columns", "indexes", "constraints", "statistics", "privileges"} <= found.skipped
