"""Which tables and columns are found, and the errors when that is unclear."""

import pytest

from tests.e2e.adoption.conftest import Place, said
from tests.e2e.adoption.layouts import MINIMAL, SMALL

WEIRD = """
CREATE SCHEMA "My ""old"" app";
CREATE TABLE "My ""old"" app"."we""ird; drop" (
  "id" integer PRIMARY KEY, "user_id" text, "the ""title"" {}" text);
CREATE TABLE "My ""old"" app"."$1; --" ("id" integer PRIMARY KEY, "chat_id" integer, "role" text,
  "what's said" text);
INSERT INTO "My ""old"" app"."we""ird; drop" VALUES (1, 'ann', 'One');
INSERT INTO "My ""old"" app"."$1; --" VALUES (1, 1, 'user', 'Hello');
"""


@pytest.fixture
async def small(place: Place) -> Place:
    await place.old.execute(SMALL)
    return place


async def refusal(place: Place, *arguments: str) -> str:
    """Return the one line that says why nothing was adopted."""
    done = await place.adopt(*arguments)
    assert done.status == 1, done
    assert await place.count("conversations") == 0
    [line] = done.err.splitlines()
    return line


async def test_names_are_quoted_whatever_they_are(place: Place) -> None:
    await place.old.execute(WEIRD)
    await place.adopted(
        *("--schema", 'My "old" app', "--conversations", 'we"ird; drop', "--messages", "$1; --"),
        *("--column", 'conversations.title=the "title" {}'),
        *("--column", "messages.content=what's said"),
    )
    [conversation] = await place.conversations("ann")
    assert (conversation["title"], said(conversation)) == ("One", [("user", "Hello")])


async def test_a_schema_of_its_own_may_have_the_names_that_chatkeep_has(place: Place) -> None:
    await place.old.execute("CREATE SCHEMA legacy; SET search_path TO legacy")
    await place.old.execute(MINIMAL.script)
    await place.old.execute(
        "ALTER TABLE conversation RENAME TO conversations; ALTER TABLE message RENAME TO messages;"
        "SET search_path TO public"
    )
    report = await place.adopted("--schema", "legacy")
    assert report["tables"]["messages"]["name"] == "legacy.messages"
    assert report["messages"]["new"] == 4


async def test_a_view_can_be_adopted(small: Place) -> None:
    """A view can give unusual tables the usual shape."""
    await small.old.execute(
        "CREATE VIEW chats AS SELECT * FROM old_conversations WHERE user_id = 'ann'"
    )
    report = await small.adopted("--conversations", "chats")
    assert report["messages"]["new"] == 2
    assert report["orphans"] == {"count": 1, "first": ["3"]}


async def test_no_tables_or_several_are_told_with_the_way_out(place: Place) -> None:
    line = await refusal(place)
    assert "No legacy table of conversations in the search path" in line
    assert "--conversations NAME" in line

    await place.old.execute(SMALL)
    await place.old.execute("CREATE TABLE chats (id integer)")
    line = await refusal(place)
    assert "public.chats, public.old_conversations" in line
    assert "--conversations NAME" in line

    line = await refusal(place, "--conversations", "old_conversations", "--messages", "nothing")
    assert "No table 'nothing'" in line
    line = await refusal(place, "--schema", "nowhere")
    assert "no schema 'nowhere'" in line
    line = await refusal(
        place, "--conversations", "old_conversations", "--messages", "old_conversations"
    )
    assert "name the same table" in line


@pytest.mark.parametrize("option", ["--conversations", "--messages"])
async def test_chatkeeps_own_tables_are_not_adopted(small: Place, option: str) -> None:
    line = await refusal(small, option, option.removeprefix("--"))
    assert "that is not chatkeep's own" in line


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("RENAME content TO speech", "messages.content=NAME"),
        ("RENAME conversation_id TO dialogue", "messages.conversation_id=NAME"),
        ("ALTER content TYPE bytea USING NULL", "content is of type bytea"),
        ("ALTER created_at TYPE integer USING 1", "messages.created_at=NAME (or none:"),
        ("ADD stars integer, ADD model text", "no field for, stars, model"),
        ("ALTER id DROP NOT NULL, ALTER id TYPE double precision", "double precision"),
    ],
)
async def test_a_column_that_cannot_be_understood_is_named(
    small: Place, change: str, said: str
) -> None:
    await small.old.execute("ALTER TABLE old_messages DROP CONSTRAINT old_messages_pkey")
    for each in [change] if change.startswith("R") else change.split(", "):
        await small.old.execute(f"ALTER TABLE old_messages {each}")
    line = await refusal(small)
    assert line.startswith("chatkeep: public.old_messages: ")
    assert said in line


async def test_what_there_is_no_place_for_is_kept_or_left_behind_as_told(small: Place) -> None:
    await small.old.execute(
        "ALTER TABLE old_messages ADD stars integer, ADD at timestamp;"
        "UPDATE old_messages SET stars = 5, metadata = '{\"a\": 1}' WHERE id = 1"
    )
    await small.adopted("--extra", "leave")
    [conversation] = await small.conversations("ann")
    assert [each["metadata"] for each in conversation["messages"]] == [{"a": 1}, {}]

    await small.old.execute("DELETE FROM users; DELETE FROM adoptions")
    await small.adopted("--extra", "metadata")
    [conversation] = await small.conversations("ann")
    assert [each["metadata"] for each in conversation["messages"]] == [
        {"a": 1, "old_columns": {"stars": 5, "at": None}},
        {"old_columns": {"stars": None, "at": None}},
    ]


async def test_ids_that_are_not_unique_are_told(small: Place) -> None:
    await small.old.execute(
        "ALTER TABLE old_messages DROP CONSTRAINT old_messages_pkey;UPDATE old_messages SET id = 1"
    )
    assert "not unique (1)" in await refusal(small)


async def test_an_unknown_status_is_asked_for(small: Place) -> None:
    await small.old.execute(
        "ALTER TABLE old_conversations ADD status text;"
        "UPDATE old_conversations SET status = CASE id WHEN 1 THEN 'Deleted' ELSE 'open' END"
    )
    line = await refusal(small)
    assert "'Deleted'" in line
    assert "--status Deleted=..." in line

    report = await small.adopted("--status", "deleted=leave")
    assert report["conversations"] | {"new": 1, "left": 1} == report["conversations"]
    assert report["messages"] | {"new": 1, "unowned": 2} == report["messages"]
    assert await small.conversations("ann") == []


async def test_conversations_without_a_user_need_one(small: Place) -> None:
    await small.old.execute("UPDATE old_conversations SET user_id = NULL WHERE id = 1")
    done = await small.adopt("--json")
    assert done.status == 1
    [refused] = done.report["refused"]
    assert (refused["table"], refused["id"]) == ("conversations", "1")
    assert "--user-id" in refused["reason"]

    report = await small.adopted("--user-id", "carol")
    assert report["conversations"] | {"new": 1, "there": 1} == report["conversations"]
    assert said((await small.conversations("carol"))[0]) == [("user", "Hello"), ("assistant", "Hi")]

    await small.old.execute("ALTER TABLE old_conversations DROP user_id")
    done = await small.adopt()
    assert done.status == 1
    assert "has no column for user_id" in done.err
    assert "--user-id ID" in done.err


async def test_a_message_of_somebody_else_is_refused(small: Place) -> None:
    await small.old.execute(
        "ALTER TABLE old_messages ADD user_id text; UPDATE old_messages SET user_id = 'ann'"
    )
    done = await small.adopt("--json")
    assert done.status == 1
    [refused] = done.report["refused"]
    assert (refused["id"], refused["reason"]) == (
        "3",
        "user_id: is not the user of the conversation",
    )


async def test_without_times_and_numbers_the_order_must_be_told(small: Place) -> None:
    await small.old.execute(
        "ALTER TABLE old_messages DROP created_at;"
        "ALTER TABLE old_messages ALTER id TYPE text USING 'm' || id"
    )
    assert "--order id" in await refusal(small)
    assert "messages.created_at=NAME" in await refusal(small, "--order", "time")
    await small.adopted("--order", "id")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--column", "messages.content"),
        ("--column", "messages.speech=content"),
        ("--role", "helper=friend"),
        ("--status", "deleted=gone"),
        ("--order", "random"),
        ("--extra", "drop"),
        ("--on-bad", "ignore"),
        ("--user-id", ""),
        ("--user-id", "x" * 256),
        ("--schema", ""),
        ("--messages", "a\nb"),
        ("--mapping", "ids.txt"),
        ("--mapping", "/no/such/directory/ids.csv"),
    ],
)
async def test_a_wrong_option_is_a_usage_error_that_names_it(arguments: tuple[str, str]) -> None:
    """Without connecting to a database."""
    done = await Place("postgresql://nobody@127.0.0.1:1/nothing", None).adopt(*arguments)
    assert (done.status, done.out) == (2, "")
    assert arguments[0] in done.err.splitlines()[-1]
