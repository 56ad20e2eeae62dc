"""Triggers and constraints that the owner of a database added to the tables of this service."""

import logging

import pytest

from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.entrypoints.bootstrap.service import http_app
from tests.api.builders import CONVERSATIONS, refused
from tests.e2e.test_users_of_another_application import execute
from tests.support.application import serving, settings
from tests.support.postgres import connect_args

SECRET = "his-secret-number"
TRIGGER = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {does}; RETURN NEW; END $$;
CREATE TRIGGER refuse BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION refuse()"""
NO_TRIGGER = "DROP FUNCTION refuse CASCADE"
RAISE = "RAISE EXCEPTION 'not %', NEW.content"


def trigger(does: str, table: str = "messages") -> tuple[str, str]:
    return TRIGGER.format(does=does, table=table), NO_TRIGGER


# What is done to the database, and undone; what the answer names.
RULES = {
    "a check": (
        """ALTER TABLE messages ADD CONSTRAINT no_numbers
        CHECK (content <> 'his-secret-number') NOT VALID""",
        "ALTER TABLE messages DROP CONSTRAINT no_numbers",
        "the constraint no_numbers of its table messages",
    ),
    "a column without a default": (
        """ALTER TABLE messages ADD COLUMN tenant text;
        ALTER TABLE messages ADD CONSTRAINT known CHECK (tenant IS NOT NULL) NOT VALID""",
        "ALTER TABLE messages DROP COLUMN tenant",
        "the constraint known",
    ),
    "a unique name": (
        "CREATE UNIQUE INDEX once ON messages (user_id, name)",
        "DROP INDEX once",
        "the constraint once",
    ),
    "a narrower column": (
        "ALTER TABLE messages ALTER COLUMN name TYPE varchar(3)",
        "ALTER TABLE messages ALTER COLUMN name TYPE text",
        "SQLSTATE 22001",
    ),
    "a key of another table": (
        """CREATE TABLE words (word text PRIMARY KEY); ALTER TABLE messages
        ADD CONSTRAINT in_words FOREIGN KEY (name) REFERENCES words NOT VALID""",
        "DROP TABLE words CASCADE",
        "the constraint in_words",
    ),
    "a trigger": (*trigger(RAISE), "SQLSTATE P0001"),
    "a state of its own": (*trigger(f"{RAISE} USING ERRCODE = 'UE001'"), "SQLSTATE UE001"),
    "a trigger that fails": (*trigger("PERFORM 1 / 0"), "SQLSTATE 22012"),
    "a trigger that needs a table": (*trigger("PERFORM FROM nowhere"), "SQLSTATE 42P01"),
}


async def test_what_they_refuse_is_a_clear_error_and_no_other_one(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    given = settings(database_url=database_url)
    said = {"role": "user", "content": SECRET, "name": "Bartholomew"}
    async with serving(
        given, app=http_app(given, database=Engine(connect_args(database_url)))
    ) as s:
        alice = s.user("alice")
        made = await alice.post(CONVERSATIONS, json={"messages": [said]})
        messages = f"{CONVERSATIONS}/{made.json()['id']}/messages"
        with caplog.at_level(logging.WARNING):
            for name, (rule, undo, named) in RULES.items():
                if name == "a narrower column":
                    await execute(database_url, "UPDATE messages SET name = NULL")
                await execute(database_url, rule)
                answers = [
                    await alice.post(messages, json=said),
                    await alice.post(CONVERSATIONS, json={"messages": [said]}),
                    await alice.put(f"{messages}/m1", json=said),
                ]
                await execute(database_url, undo)
                for answer in answers:
                    problem = refused(answer, 403, "refused-by-database")
                    assert named in problem["detail"], name
                    assert SECRET not in answer.text
        assert SECRET not in caplog.text
        assert (await alice.post(messages, json=said)).status_code == 201


async def test_a_trigger_on_users_keeps_strangers_out(database_url: str) -> None:
    given = settings(database_url=database_url)
    async with serving(
        given, app=http_app(given, database=Engine(connect_args(database_url)))
    ) as s:
        assert (await s.user("alice").post(CONVERSATIONS, json={})).status_code == 201
        rule, _ = trigger("RAISE EXCEPTION 'no % here', NEW.id", "users")
        await execute(database_url, rule)
        for stranger in (
            await s.user("zora").post(CONVERSATIONS, json={}),
            await s.user("zora").put(f"{CONVERSATIONS}/c1"),
            await s.key().put("/v1/users/zora"),
        ):
            refused(stranger, 403, "user-not-provisioned")
        assert (await s.user("alice").post(CONVERSATIONS, json={})).status_code == 201


async def test_what_other_tables_refer_to_is_not_deleted(database_url: str) -> None:
    given = settings(database_url=database_url)
    async with serving(
        given, app=http_app(given, database=Engine(connect_args(database_url)))
    ) as s:
        alice = s.user("alice")
        made = await alice.put(f"{CONVERSATIONS}/c1")
        assert made.status_code == 201
        await execute(
            database_url,
            """CREATE TABLE tickets (of uuid, owner text, CONSTRAINT tickets_of
            FOREIGN KEY (of, owner) REFERENCES conversations);
            INSERT INTO tickets SELECT id, user_id FROM conversations""",
        )
        problem = refused(await alice.delete(f"{CONVERSATIONS}/c1"), 403, "refused-by-database")
        assert "the constraint tickets_of of its table tickets" in problem["detail"]
        refused(await alice.delete("/v1/me"), 403, "refused-by-database")
