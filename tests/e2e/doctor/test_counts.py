"""Counts that drifted are found and, if asked, put right; nothing else is."""

import asyncio
from itertools import pairwise

import pytest

from chatkeep.adapters.operator.doctor import counts, rollback_session
from tests.e2e.doctor.examining import connected, everything, examine, execute
from tests.e2e.doctor.test_promises import SEEDED

COUNT = "SELECT message_count, last_position FROM conversations ORDER BY title"
WAITING = """
SELECT count(*), pg_sleep(0.01) FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE NOT granted AND datname = current_database()"""
DRIFT = """
UPDATE conversations SET message_count = 4 WHERE title = 'chat 1';
UPDATE conversations SET message_count = 999 WHERE title = 'chat 2';
UPDATE conversations SET last_position = 5 WHERE title = 'chat 3';
DELETE FROM conversation_items i USING conversations c
WHERE c.id = i.conversation_id AND title IN ('chat 4', 'chat 5');
UPDATE conversations SET last_position = 4 WHERE title = 'chat 4';
"""


@pytest.fixture
async def seeded_url(database_url: str) -> str:
    await execute(database_url, SEEDED)
    return database_url


async def test_drift_of_every_kind_is_found(seeded_url: str) -> None:
    """A last position that is greater than any there is comes of deletions, and is right."""
    await execute(seeded_url, DRIFT)

    found = await examine(seeded_url)

    assert found.failed == {"counts"}
    line = found.line("counts")
    assert line.message.startswith("4 of 30 conversations")
    assert "--repair" in line.fix
    assert len(line.examples) == 4
    assert any("message_count 999, last_position 6; has 5 messages" in it for it in line.examples)


async def test_repair_puts_right_what_drifted_and_touches_nothing_else(seeded_url: str) -> None:
    before = await everything(seeded_url)
    await execute(seeded_url, DRIFT)
    drifted = await everything(seeded_url)

    found = await examine(seeded_url, repair=True)

    assert (found.failed, found.warned) == (set(), {"counts"})
    assert found.line("counts").message.endswith("all were repaired")
    async with connected(seeded_url) as connection:
        rows = await connection.fetch(COUNT)
    assert [tuple(row) for row in rows].count((5, 6)) == 29
    assert [tuple(row) for row in rows].count((5, 5)) == 1
    after = await everything(seeded_url)
    assert len(set(after["conversations"]) - set(drifted["conversations"])) == 4
    unlike = {name for name in after if after[name] != drifted[name]}
    assert unlike == {"conversations"}
    assert len(before["conversations"]) == len(after["conversations"])
    again = await examine(seeded_url, repair=True)
    assert (again.failed, again.warned) == (set(), set())
    assert await everything(seeded_url) == after


async def test_many_are_counted_in_batches_of_which_none_is_missed(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await execute(
        database_url,
        "INSERT INTO users VALUES ('ann'), ('bob'); "
        "INSERT INTO conversations (user_id) SELECT u.id FROM users u, generate_series(1, 150); "
        "INSERT INTO conversations (id, user_id) SELECT id, 'bob' FROM conversations "
        "WHERE user_id = 'ann'; UPDATE conversations SET message_count = 1",
    )
    sizes: list[int] = []
    next_size = counts._next_size  # noqa: SLF001 - to see how large the batches were

    def noted(size: int, seconds: float) -> int:
        sizes.append(size)
        return next_size(size, seconds)

    monkeypatch.setattr(counts, "_next_size", noted)

    line = (await examine(database_url)).line("counts")

    assert line.message.startswith("450 of 450")
    assert len(line.examples) == 10
    assert len(sizes) > 3
    assert all(later <= 2 * size for size, later in pairwise(sizes))


@pytest.mark.parametrize(
    ("size", "seconds", "expected"),
    [(10, 0.1, 20), (2_000, 0.1, 2_000), (500, 0.5, 500), (500, 2, 250), (10, 9, 10)],
)
def test_batches_grow_while_they_are_quick(size: int, seconds: float, expected: int) -> None:
    assert counts._next_size(size, seconds) == expected  # noqa: SLF001 - a rule of its own


async def test_repair_counts_what_was_appended_while_it_waited_for_the_lock(
    seeded_url: str,
) -> None:
    await execute(seeded_url, DRIFT)
    async with connected(seeded_url) as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute(
            "UPDATE conversations SET message_count = message_count + 1, last_position = 7 "
            "WHERE title = 'chat 1'; "
            "INSERT INTO messages (conversation_id, user_id, role, content, position) "
            "SELECT id, user_id, 'user', 'late', 7 FROM conversations WHERE title = 'chat 1'"
        )
        repairing = asyncio.create_task(examine(seeded_url, repair=True))
        waiting = 0
        while not (waiting or repairing.done()):
            waiting = await connection.fetchval(WAITING)
        await transaction.commit()

        found = await repairing

        row = await connection.fetchrow(f"{COUNT} LIMIT 1")
    assert found.failed == set()
    assert tuple(row) == (6, 7)


async def test_a_conversation_that_stays_locked_is_left_and_said_so(
    seeded_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollback_session, "LOCK_TIMEOUT", "100ms")
    await execute(seeded_url, DRIFT)
    async with connected(seeded_url) as connection, connection.transaction():
        await connection.execute("SELECT FROM conversations WHERE title = 'chat 1' FOR UPDATE")

        found = await examine(seeded_url, repair=True)

    assert found.failed == {"counts"}
    assert "3 were repaired" in found.line("counts").message
    assert (await examine(seeded_url, repair=True)).failed == set()
