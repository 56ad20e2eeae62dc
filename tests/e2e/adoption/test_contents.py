"""All contents of legacy tables are kept, in their order, or refused with their id."""

import json

import pytest

from tests.e2e.adoption.conftest import Json, Place, said
from tests.e2e.adoption.layouts import CALLS, SMALL

INSERT = """
INSERT INTO old_messages (id, conversation_id, role, content, tool_calls, tool_call_id, metadata)
VALUES ($1, 1, $2, $3, $4, $5, $6)"""


@pytest.fixture
async def place(place: Place) -> Place:
    await place.old.execute(SMALL)
    return place


async def messages_of_ann(place: Place) -> list[Json]:
    [conversation] = await place.conversations("ann")
    messages: list[Json] = conversation["messages"]
    return messages


async def becoming(place: Place, *rows: tuple[object, ...]) -> list[Json]:
    """Adopt messages (role, content, tool_calls, tool_call_id, metadata); return the result."""
    await place.old.execute("DELETE FROM old_messages WHERE conversation_id = 1")
    for id_, row in enumerate(rows, 10):
        await place.old.execute(INSERT, id_, *row)
    await place.adopted()
    return await messages_of_ann(place)


async def test_owners_who_get_no_conversation_are_not_promised_to_be_added(place: Place) -> None:
    await place.old.execute(
        "INSERT INTO old_conversations (id, user_id) VALUES (8, repeat('long', 100)), (9, 'carol')"
    )
    done = await place.adopt()
    lines = done.out.splitlines()

    [found] = [line for line in lines if line.startswith("owners not in users yet: 4 (")]
    assert found.endswith("; those with a conversation are added")
    assert "users: 3 added" in lines


@pytest.mark.parametrize("kind", ["json", "jsonb"])
async def test_contents_in_json_are_texts_or_parts(place: Place, kind: str) -> None:
    await place.old.execute(
        f"ALTER TABLE old_messages ALTER content TYPE {kind} USING to_json(content)::{kind}"
    )
    shown = [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": "u"}}]
    contents = ["hello", shown, {"a": 1}]
    rows = [("user", json.dumps(each), None, None, None) for each in contents]

    messages = await becoming(place, *rows)

    assert [each["content"] for each in messages[:2]] == ["hello", shown]
    assert json.loads(messages[2]["content"]) == {"a": 1}


async def test_texts_are_kept_exactly(place: Place) -> None:
    texts = [
        "",
        "\ufdd0 is the escape character, \ufdd00 an escape \ufdd01 \ufdd0",
        "x" * 55_000,
        "👩‍👩‍👧 \u202e עברית e\u0301 \x7f \x01 \U0010ffff",
        "'; DROP TABLE messages; -- \" \\ %s {} $1",
        "line\r\nline\u2028line\x85",
    ]
    await place.old.execute("UPDATE old_conversations SET title = $1 WHERE id = 1", texts[1])
    messages = await becoming(place, *(("user", text, None, None, None) for text in texts))
    assert [each["content"] for each in messages] == texts
    [conversation] = await place.conversations("ann")
    assert conversation["title"] == texts[1]


async def test_metadata_is_kept_as_json_or_else_as_the_text_it_is(place: Place) -> None:
    kept: dict[str, Json] = {
        '{"a": 1, "a": 2}': {"a": 2},
        '{"nul": "\\u0000", "escape": "\ufdd0"}': {"nul": "\0", "escape": "\ufdd0"},
        '{"emoji": "\\ud83d\\ude00", "n": 1e3}': {"emoji": "😀", "n": 1000},
        "  ": {},
        "null": {},
        "[1, 2]": {"old_metadata": [1, 2]},
        "not JSON": {"old_metadata": "not JSON"},
        '{"n": NaN}': {"old_metadata": '{"n": NaN}'},
        '{"half": "\\ud800"}': {"old_metadata": '{"half": "\\ud800"}'},
        '{"n": 1e999999}': {"old_metadata": '{"n": 1e999999}'},
        "[" * 600 + "]" * 600: {"old_metadata": "[" * 600 + "]" * 600},
    }
    messages = await becoming(place, *(("user", "Hello", None, None, given) for given in kept))
    assert [each["metadata"] for each in messages] == list(kept.values())


async def test_tool_calls_that_no_model_would_take_back_are_kept_in_the_metadata(
    place: Place,
) -> None:
    kept = {
        CALLS: (json.loads(CALLS), {}),
        "no JSON": (None, {"old_tool_calls": "no JSON"}),
        '[{"tool": "add"}]': (None, {"old_tool_calls": [{"tool": "add"}]}),
        '{"id": 1}': (None, {"old_tool_calls": {"id": 1}}),
        '[{"id": "c", "type": "x"}]': (None, {"old_tool_calls": [{"id": "c", "type": "x"}]}),
        "[]": (None, {}),
    }
    messages = await becoming(place, *(("assistant", "Done", given, None, None) for given in kept))
    assert [(each["tool_calls"], each["metadata"]) for each in messages] == list(kept.values())


async def test_a_row_that_cannot_be_kept_is_refused_by_its_id_and_the_others_go_in(
    place: Place,
) -> None:
    rows = {
        "role: 'moderator' is unknown": ("moderator", "Hello", None, None, None),
        "role: is null": (None, "Hello", None, None, None),
        "content: ": ("user", None, None, None, None),
        "content: may be null only with tool_calls": ("assistant", None, "no JSON", None, None),
        "tool_calls: ": ("user", "Hello", CALLS, None, None),
        "tool_call_id: only": ("user", "Hello", None, "call_1", None),
        "metadata: already has old_tool_calls": (
            "assistant",
            "Hello",
            "x",
            None,
            '{"old_tool_calls": 1}',
        ),
    }
    for id_, row in enumerate(rows.values(), 10):
        await place.old.execute(INSERT, id_, *row)

    done = await place.adopt("--json")

    assert done.status == 1
    refused = {each["id"]: each["reason"] for each in done.report["refused"]}
    assert len(refused) == done.report["messages"]["refused"] == len(rows)
    for id_, reason in enumerate(rows, 10):
        assert refused[str(id_)].startswith(reason)
        assert f"refused: messages: {id_}: {reason}" in done.err
    assert done.report["messages"]["new"] == 3
    assert done.report["compared"]["differing"] == 0
    assert said({"messages": await messages_of_ann(place)}) == [
        ("user", "Hello"),
        ("assistant", "Hi"),
    ]


async def test_a_row_that_was_refused_and_mended_since_is_added_by_the_next_run(
    place: Place,
) -> None:
    await place.old.execute("UPDATE old_messages SET role = 'helper' WHERE id = 1")
    assert (await place.adopt()).status == 1

    report = await place.adopted("--role", "Helper=user")

    assert report["messages"]["new"] == 1
    assert said({"messages": await messages_of_ann(place)}) == [
        ("assistant", "Hi"),
        ("user", "Hello"),
    ]


async def test_messages_stand_in_the_order_of_their_times_and_ids(place: Place) -> None:
    """Equal times by id; ids may be negative and have gaps; messages without a time come first."""
    await place.old.execute("DELETE FROM old_messages")
    times = {-5: None, 70: None, 3: "11:00", 900: "10:00", 8: "11:00", -1: "11:00", 2: "12:00"}
    for id_, time in times.items():
        await place.old.execute(
            "INSERT INTO old_messages (id, conversation_id, role, content, created_at) "
            "VALUES ($1, 1, 'user', $1::int::text, ('2024-03-05 ' || $2 || 'Z')::timestamptz)",
            id_,
            time,
        )
    await place.adopted()

    messages = await messages_of_ann(place)
    expected = ["-5", "70", "900", "-1", "3", "8", "2"]
    assert [each["content"] for each in messages] == expected
    hours = [each["created_at"].removeprefix("2024-03-") for each in messages]
    assert hours[:2] == ["01T00:00:00Z"] * 2
    assert hours[2:] == [f"05T{hour}:00:00Z" for hour in (10, 11, 11, 11, 12)]


async def test_the_order_of_ids_keeps_times_that_go_back(place: Place) -> None:
    await place.old.execute(
        "UPDATE old_messages SET created_at = created_at - interval '1 day' WHERE id = 2"
    )
    await place.adopted("--order", "id")

    messages = await messages_of_ann(place)
    assert [each["content"] for each in messages] == ["Hello", "Hi"]
    assert messages[0]["created_at"] > messages[1]["created_at"]


async def test_a_conversation_longer_than_a_batch_is_one(place: Place) -> None:
    await place.old.execute(
        "INSERT INTO old_messages (id, conversation_id, role, content, created_at) "
        "SELECT n, 1, 'user', n::text, '2024-04-01Z' FROM generate_series(100, 1349) n"
    )
    report = await place.adopted()

    assert report["messages"]["new"] == 1253
    [ann] = await place.conversations("ann")
    assert ann["message_count"] == 1252
    assert [each["content"] for each in ann["messages"]][2:] == [str(n) for n in range(100, 1350)]
    positions = await place.old.fetchval(
        "SELECT max(m.position) - min(m.position) = 1251 AND max(m.position) = max(last_position) "
        "FROM messages m JOIN conversations c ON c.id = conversation_id WHERE c.user_id = 'ann'"
    )
    assert positions
    [bob] = await place.conversations("bob")
    assert said(bob) == [("user", "Anyone?")]


async def test_times_that_are_not_given_follow_from_those_that_are(place: Place) -> None:
    await place.adopted()
    [bob] = await place.conversations("bob")
    assert bob["created_at"] == bob["updated_at"] == "2024-03-02T10:00:00Z"


async def test_a_time_that_nobody_can_show_is_refused(place: Place) -> None:
    for id_, time in enumerate(("infinity", "-infinity", "0044-03-15 BC", "20000-01-01"), 10):
        await place.old.execute(INSERT, id_, "user", "When?", None, None, None)
        await place.old.execute(f"UPDATE old_messages SET created_at = '{time}' WHERE id = {id_}")
    await place.old.execute("UPDATE old_conversations SET created_at = 'infinity' WHERE id = 2")

    done = await place.adopt("--json")

    assert done.status == 1
    refused = sorted((each["table"], each["id"]) for each in done.report["refused"])
    assert refused == [("conversations", "2"), *(("messages", str(id_)) for id_ in range(10, 14))]
    assert done.report["messages"]["unowned"] == 1
    assert said({"messages": await messages_of_ann(place)}) == [
        ("user", "Hello"),
        ("assistant", "Hi"),
    ]


async def test_conversations_without_any_message_are_adopted(place: Place) -> None:
    await place.old.execute("DELETE FROM old_messages")
    assert (await place.adopted())["conversations"]["new"] == 2
    await place.old.execute("DELETE FROM old_conversations")
    assert (await place.adopted())["conversations"]["new"] == 0
