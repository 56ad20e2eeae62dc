"""Adopting again adds what is new, and nothing that was deleted or already exists."""

import asyncio
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

import asyncpg
import pytest

from chatkeep.domain.operations.adoption.rules import NAMESPACE
from tests.e2e.adoption.conftest import Place, said
from tests.e2e.adoption.layouts import SMALL, UUIDS_AND_JSONB
from tests.e2e.neon.servers import needs_pgbouncer, pgbouncer
from tests.support.postgres import connect_args
from tests.support.processes import CHATKEEP, PROJECT, environment
from tests.support.waiting import PATIENCE

INSERT = "INSERT INTO old_messages (id, conversation_id, role, content, created_at) VALUES "


@pytest.fixture
async def small(place: Place) -> Place:
    await place.old.execute(SMALL)
    return place


async def test_what_the_old_application_wrote_since_comes_after_what_is_here(small: Place) -> None:
    """Also after messages that were added here meanwhile, and when its own time is older."""
    await small.adopted()
    [before] = await small.conversations("ann")
    async with small.service("ann") as ann:
        path = f"/v1/conversations/{before['id']}/messages"
        answer = await ann.post(path, json={"role": "user", "content": "said here"})
        assert answer.status_code == 201, answer.text
        await ann.patch(f"/v1/conversations/{before['id']}", json={"title": "Renamed"})
    await small.old.execute(
        f"{INSERT} (8, 1, 'user', 'said there', '2024-03-01 10:00:30Z'); "
        "INSERT INTO old_conversations VALUES (3, 'ann', 'Three', '2024-03-09Z')"
    )

    report = await small.adopted()

    assert report["conversations"] | {"new": 1, "there": 2} == report["conversations"]
    assert report["messages"] | {"new": 1, "there": 3} == report["messages"]
    assert report["compared"]["differing"] == 0
    after, three = await small.conversations("ann")
    assert [content for _, content in said(after)] == ["Hello", "Hi", "said here", "said there"]
    assert after["messages"][:2] == before["messages"]
    assert after["messages"][3]["created_at"] == "2024-03-01T10:00:30Z"
    assert (after["title"], after["message_count"]) == ("Renamed", 4)
    assert (three["title"], three["messages"]) == ("Three", [])
    assert (await small.adopted())["messages"]["new"] == 0


async def test_what_comes_after_a_history_of_the_future_stands_after_it(small: Place) -> None:
    """A clock that was wrong does not change the order."""
    await small.old.execute("UPDATE old_messages SET created_at = '2100-01-01Z' WHERE id = 2")
    await small.adopted()
    await small.old.execute(f"{INSERT} (8, 1, 'user', 'now', now())")
    await small.adopted()
    [conversation] = await small.conversations("ann")
    assert [content for _, content in said(conversation)] == ["Hello", "Hi", "now"]
    assert conversation["updated_at"] == "2100-01-01T00:00:00Z"


async def test_what_was_deleted_here_is_not_brought_back(small: Place) -> None:
    await small.adopted()
    [conversation] = await small.conversations("ann")
    first = conversation["messages"][0]["id"]
    async with small.service("ann") as ann:
        path = f"/v1/conversations/{conversation['id']}/messages/{first}"
        assert (await ann.delete(path)).status_code == 204
    async with small.service("bob") as bob:
        assert (await bob.delete("/v1/me")).status_code == 204
    await small.old.execute(f"{INSERT} (9, 2, 'user', 'Still there?', now())")

    report = await small.adopted()

    assert report["conversations"] | {"new": 0, "there": 1, "gone": 1} == report["conversations"]
    assert report["messages"] | {"new": 0, "there": 1, "gone": 3} == report["messages"]
    [conversation] = await small.conversations("ann")
    assert said(conversation) == [("assistant", "Hi")]
    assert await small.old.fetchval("SELECT count(*) FROM users WHERE id = 'bob'") == 0


async def test_a_conversation_used_here_under_its_old_id_before_is_added_to(place: Place) -> None:
    await place.old.execute(UUIDS_AND_JSONB.script)
    id_ = UUIDS_AND_JSONB.conversation_id
    async with place.service("ann") as ann:
        path = f"/v1/conversations/{id_}"
        assert (await ann.put(path, json={"title": "Begun here"})).status_code == 201
        early = {"role": "user", "content": "said here"}
        assert (await ann.post(f"{path}/messages", json=early)).status_code == 201

    report = await place.adopted()

    assert report["conversations"] | {"new": 0, "joined": 1} == report["conversations"]
    [conversation] = await place.conversations("ann")
    contents = [content for _, content in said(conversation)]
    assert contents == ["said here", "Add milk", None, "added", "Done"]
    assert (conversation["title"], conversation["message_count"]) == ("Begun here", 5)


async def test_a_message_that_was_written_to_both_is_there_once(place: Place) -> None:
    """A row whose id belongs to another message here is refused."""
    await place.old.execute(UUIDS_AND_JSONB.script)
    await place.old.execute("DELETE FROM old_messages WHERE role = 'assistant' OR role = 'tool'")
    id_, message_id = UUIDS_AND_JSONB.conversation_id, UUIDS_AND_JSONB.first_message_id
    body = {"id": str(message_id), "role": "user", "content": "Add milk", "metadata": {"a": 1.5}}
    other = uuid4()
    async with place.service("ann") as ann:
        await ann.put(f"/v1/conversations/{id_}", json={})
        await place.old.execute(
            "INSERT INTO old_messages (id, conversation_id, role, content) VALUES "
            "($1, $2, 'user', 'of old')",
            other,
            id_,
        )
        path = f"/v1/conversations/{id_}/messages"
        taken = {"id": str(other), "role": "user", "content": "of here"}
        assert (await ann.post(path, json=body)).status_code == 201
        assert (await ann.post(path, json=taken)).status_code == 201
    await place.old.execute(
        "UPDATE old_messages SET created_at = "
        "(SELECT created_at FROM messages WHERE messages.id = old_messages.id)"
    )

    done = await place.adopt("--json")

    assert done.status == 1
    assert done.report["messages"] | {"new": 0, "there": 1, "refused": 1} == done.report["messages"]
    assert [each["id"] for each in done.report["refused"]] == [str(other)]
    [conversation] = await place.conversations("ann")
    assert [content for _, content in said(conversation)] == ["Add milk", "of here"]


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE messages SET content = 'Hy' WHERE content = 'Hi'",
        "UPDATE messages SET metadata = '{\"a\": 1}' WHERE content = 'Hi'",
        "UPDATE messages SET created_at = created_at + interval '1 us' WHERE content = 'Hi'",
        "UPDATE messages SET position = position - 5 WHERE content = 'Hi'",
        "UPDATE old_messages SET content = 'Hy' WHERE content = 'Hi'",
    ],
    ids=["content", "metadata", "time", "order", "old content"],
)
async def test_what_was_tampered_with_is_found_and_its_conversation_named(
    small: Place, tampering: str
) -> None:
    await small.adopted()
    await small.old.execute(tampering)

    done = await small.adopt("--json")

    compared = done.report["compared"]
    assert done.status == 1
    assert (compared["differing"], compared["first"]) == (1, ["1"])
    assert compared["old"]["messages"] == compared["new"]["messages"] == 3
    assert (await small.adopt()).out.splitlines()[-1].startswith("1 conversations differ")


async def test_new_ids_are_those_that_the_documentation_promises(small: Place) -> None:
    await small.adopted()
    [conversation] = await small.conversations("ann")
    assert conversation["id"] == str(uuid5(NAMESPACE, "public.old_conversations:1"))
    assert conversation["messages"][1]["id"] == str(uuid5(NAMESPACE, "public.old_messages:2"))
    assert UUID("1065de24-4e8f-4da1-9764-38c84f6e2254") == NAMESPACE != NAMESPACE_URL


async def test_a_run_that_is_killed_leaves_whole_conversations_and_the_next_goes_on(
    place: Place,
) -> None:
    await place.old.execute(SMALL)
    await place.old.execute(
        "INSERT INTO old_conversations SELECT n, 'ann', n::text FROM generate_series(3, 300) n;"
        "INSERT INTO old_messages (id, conversation_id, role, content) "
        "SELECT n, 3 + n % 298, 'user', n::text FROM generate_series(100, 695) n;"
        "UPDATE old_conversations SET user_id = 'ann' WHERE id = 2;"
        "UPDATE old_conversations SET user_id = 'bob' WHERE id = 300"
    )
    # The last batch needs bob, and waits for him until the run is killed.
    async with held(place) as waiting:
        with command(place.url):
            await waiting()
    adopted = await place.count("conversations")
    assert 0 < adopted < 300
    assert await place.old.fetchval(
        "SELECT bool_and(message_count = (SELECT count(*) FROM messages m "
        "WHERE m.conversation_id = c.id)) FROM conversations c"
    )

    report = await place.adopted()

    assert (
        report["conversations"] | {"new": 300 - adopted, "there": adopted}
        == (report["conversations"])
    )
    assert report["compared"]["new"]["messages"] == 599
    assert await place.count("messages") == 599


async def test_two_at_once_are_refused(small: Place) -> None:
    async with small.old.transaction():
        await small.old.execute("SELECT pg_advisory_xact_lock($1)", int.from_bytes(b"adopting"))
        done = await small.adopt()
    assert done.status == 1
    assert done.err.splitlines() == [
        "chatkeep: Another process is adopting in this database: wait until it ends."
    ]


@needs_pgbouncer
async def test_it_goes_through_a_pooler_in_transaction_mode(small: Place) -> None:
    async with pgbouncer(small.url, connections=2) as url:
        pooled = Place(url, small.old)
        assert (await pooled.adopted())["messages"]["new"] == 3
        assert (await pooled.adopted())["messages"]["there"] == 3


async def test_a_database_that_goes_away_is_one_clear_line_and_the_next_run_goes_on(
    small: Place,
) -> None:
    async with held(small) as waiting:
        run = asyncio.create_task(small.adopt())
        await waiting()
        await small.old.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        )
        done = await run
    assert done.status == 1
    [line] = done.err.splitlines()
    assert line.startswith("chatkeep: The database cannot be reached now")
    assert await small.count("conversations") == 0
    assert (await small.adopted())["conversations"]["new"] == 2


async def test_an_interrupted_run_says_so_and_leaves_nothing_half_done(small: Place) -> None:
    async with held(small) as waiting:
        with command(small.url) as process:
            await waiting()
            process.send_signal(signal.SIGINT)
            _, err = await asyncio.to_thread(process.communicate)
    assert process.returncode == 1
    assert err.decode().split() == ["Aborted!"]
    assert await small.count("conversations") == 0
    assert (await small.adopted())["conversations"]["new"] == 2


@asynccontextmanager
async def held(place: Place) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Block others from adding the user bob; yield a function that waits until one tries."""
    query = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock')"
    blocker = await asyncpg.connect(**connect_args(place.url))
    await blocker.execute("BEGIN; INSERT INTO users VALUES ('bob')")

    async def waiting() -> None:
        give_up = time.monotonic() + PATIENCE
        while not await place.old.fetchval(query):
            assert time.monotonic() < give_up
            await asyncio.sleep(0.05)

    try:
        yield waiting
    finally:
        await blocker.close()


@contextmanager
def command(url: str) -> "Iterator[subprocess.Popen[bytes]]":
    """Run the command in a separate process, which is killed at the end if it still runs."""
    with subprocess.Popen(
        [CHATKEEP, "adopt", "--from-tables"],
        cwd=PROJECT,
        env=environment(DATABASE_URL=url),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            yield process
        finally:
            process.kill()
