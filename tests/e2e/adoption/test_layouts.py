"""Every usual layout of legacy tables is adopted, and reads the same over HTTP."""

import json

import pytest

from tests.e2e.adoption.conftest import Place
from tests.e2e.adoption.layouts import ALL, CALLS, SERIAL_AND_NAIVE, Layout
from tests.support.postgres import connect_args


@pytest.mark.parametrize("layout", ALL.values(), ids=ALL)
async def test_a_history_is_read_back_as_it_was(place: Place, layout: Layout) -> None:
    """Naive times are UTC, also in a database with another time zone."""
    name = connect_args(place.url)["database"]
    await place.old.execute(f"ALTER DATABASE {name} SET timezone TO 'Asia/Kolkata'")
    await place.old.execute("SET timezone TO 'Asia/Kolkata'")
    await place.old.execute(layout.script)

    report = await place.adopted(*layout.arguments)

    assert report["conversations"]["new"] == 1
    assert report["messages"]["new"] == 4
    assert report["compared"]["old"] == report["compared"]["new"]
    assert report["compared"]["old"]["messages"] == 4
    [conversation] = await place.conversations(layout.owner)
    assert conversation["title"] == layout.title
    assert conversation["status"] == layout.status
    assert conversation["metadata"] == ({"lang": "de"} if layout.metadata else {})
    assert conversation["message_count"] == 4
    messages = conversation["messages"]
    assert [each["role"] for each in messages] == ["user", "assistant", "tool", "assistant"]
    assert [each["content"] for each in messages] == [
        "Add milk",
        None if layout.has_calls else "",
        "added",
        "Done",
    ]
    calls = json.loads(CALLS) if layout.has_calls else None
    assert [each["tool_calls"] for each in messages] == [None, calls, None, None]
    assert [each["tool_call_id"] for each in messages] == [None, None, layout.tool_call_id, None]
    assert [each["name"] for each in messages] == [None, None, layout.name, None]
    assert messages[0]["metadata"] == ({"a": 1.5} if layout.metadata else {})
    assert [each["metadata"] for each in messages[1:]] == [{}, {}, {}]
    if layout.times is not None:
        assert tuple(each["created_at"] for each in messages) == layout.times
        assert conversation["updated_at"] == layout.times[-1]
    if layout.created_at is not None:
        assert conversation["created_at"] == layout.created_at
    if layout.conversation_id is not None:
        assert conversation["id"] == str(layout.conversation_id)
    if layout.first_message_id is not None:
        assert messages[0]["id"] == str(layout.first_message_id)


@pytest.mark.parametrize("layout", ALL.values(), ids=ALL)
async def test_adopting_again_adds_nothing_and_changes_nothing(
    place: Place, layout: Layout
) -> None:
    await place.old.execute(layout.script)
    await place.adopted(*layout.arguments)
    ours = ("conversations", "messages", "adoptions", "users")
    before = [await place.rows(table) for table in ours]

    report = await place.adopted(*layout.arguments)

    assert [await place.rows(table) for table in ours] == before
    assert (report["conversations"]["new"], report["conversations"]["there"]) == (0, 1)
    assert (report["messages"]["new"], report["messages"]["there"]) == (0, 4)
    assert report["compared"]["old"]["messages"] == 4


async def test_what_was_found_is_told(place: Place) -> None:
    await place.old.execute(SERIAL_AND_NAIVE.script)
    await place.old.execute("ALTER TABLE old_messages RENAME content TO body")

    done = await place.adopt()

    assert done.status == 0, done
    lines = done.out.splitlines()
    assert lines[0].startswith("conversations: public.old_conversations, 1 rows: id (integer), ")
    assert ", created_at (timestamp without time zone)" in lines[1]
    assert ", content = body (text), " in lines[1]
    assert "roles: assistant -> assistant (2), tool -> tool (1), user -> user (1)" in lines
    assert "statuses: archived -> archived (1)" in lines
    assert "owners not in users yet: 1 (ann); those with a conversation are added" in lines
    assert "conversations: 1 adopted" in lines
    assert "messages: 4 adopted" in lines
    assert "users: 1 added" in lines
