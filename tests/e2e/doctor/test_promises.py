"""Promises are exercised for real: what breaks one is found, and nothing stays behind."""

import pytest

from tests.e2e.doctor.examining import PROMISES, everything, examine, execute, promises
from tests.support.service_process import some

SEEDED = """
INSERT INTO users VALUES ('ann'), ('bob');
INSERT INTO conversations (user_id, title) SELECT 'ann', 'chat ' || n FROM generate_series(1, 30) n;
INSERT INTO messages (conversation_id, user_id, role, content, position)
SELECT id, user_id, 'user', 'message ' || n, n FROM conversations, generate_series(1, 5) n;
INSERT INTO conversation_items (conversation_id, user_id, position, item_id, item)
SELECT id, user_id, 6, 'rs_1', '{"type": "reasoning"}' FROM conversations;
UPDATE conversations SET message_count = 5, last_position = 6;
"""


def trigger(table: str, event: str, body: str) -> str:
    return (
        f"CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$; "
        f"CREATE TRIGGER meddles BEFORE {event} ON {table} FOR EACH ROW EXECUTE FUNCTION meddle()"
    )


@pytest.mark.parametrize(
    ("table", "event", "body", "broken"),
    some(
        [
            ("messages", "INSERT", "RETURN NULL;", {"create", "order", "counts", "text", "plain"}),
            (
                "messages",
                "INSERT",
                "NEW.position := 0 - NEW.position; RETURN NEW;",
                {"order", "plain"},
            ),
            (
                "messages",
                "INSERT",
                "NEW.content := upper(NEW.content); RETURN NEW;",
                {"create", "text"},
            ),
            (
                "conversations",
                "UPDATE",
                "NEW.message_count := NEW.message_count - 1; RETURN NEW;",
                {"counts"},
            ),
            ("messages", "DELETE", "RETURN NULL;", {"counts", "items"}),
            ("conversation_items", "INSERT", "NEW.item := '{}'; RETURN NEW;", {"items"}),
        ],
        every=2,
    ),
)
async def test_a_trigger_that_breaks_a_promise_is_found_out(
    database_url: str, table: str, event: str, body: str, broken: set[str]
) -> None:
    await execute(database_url, trigger(table, event, body))

    found = await examine(database_url)

    assert found.failed >= promises(*broken)
    assert all(each.startswith("promise ") for each in found.failed)
    assert found.warned == {f"additions {table}"}


async def test_a_harmless_trigger_breaks_nothing(database_url: str) -> None:
    await execute(database_url, trigger("messages", "INSERT", "RETURN NEW;"))

    found = await examine(database_url)

    assert (found.failed, found.warned) == (set(), {"additions messages"})


async def test_row_security_is_mentioned(database_url: str) -> None:
    await execute(database_url, "ALTER TABLE messages ENABLE ROW LEVEL SECURITY")

    assert (await examine(database_url)).warned == {"additions messages"}


async def test_nothing_changes_byte_for_byte(database_url: str) -> None:
    await execute(database_url, SEEDED)
    before = await everything(database_url)

    found = await examine(database_url)

    assert found.failed == set()
    assert await everything(database_url) == before
    assert len(before["messages"]) == 150


async def test_nothing_changes_where_promises_are_broken_either(database_url: str) -> None:
    await execute(database_url, SEEDED)
    await execute(
        database_url,
        "ALTER TABLE messages DROP CONSTRAINT messages_pkey; "
        "ALTER TABLE conversation_items DROP CONSTRAINT "
        "conversation_items_conversation_id_user_id_fkey; "
        "UPDATE conversations SET message_count = 7",
    )
    before = await everything(database_url)

    found = await examine(database_url)

    assert {"counts", *promises("retry", "cascade")} <= found.failed
    assert await everything(database_url) == before


async def test_the_comparison_sees_a_change(database_url: str) -> None:
    before = await everything(database_url)
    await execute(database_url, "INSERT INTO users VALUES ('ann'); DELETE FROM users")
    assert await everything(database_url) == before

    await execute(database_url, "INSERT INTO users VALUES ('ann')")
    changed = await everything(database_url)
    assert changed != before
    await execute(database_url, "UPDATE users SET id = id")
    assert await everything(database_url) != changed


@pytest.mark.parametrize("provision_users", [True, False])
async def test_users_of_another_application_that_need_more_than_an_id(
    database_url: str, *, provision_users: bool
) -> None:
    await execute(database_url, "ALTER TABLE users ADD COLUMN email text NOT NULL")

    found = await examine(database_url, provision_users=provision_users)

    assert found.failed == ({"users"} if provision_users else set())
    assert found.warned == (set() if provision_users else {"users"})
    assert found.skipped == promises(*PROMISES)
