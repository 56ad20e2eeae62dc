"""Every statement that changes a conversation or its log raises the conversation's revision."""

import re

from tests.unit.test_statements import STATEMENTS

COPIES = "copies rows of both tables as they are"
OF_SELF_TEST = "made by hand in the self-test, and rolled back"
RESERVES = "reserves a position, which no caller sees"
EXCEPTED = {
    "adapters.operator.adoption.target.ADD_MESSAGES": "follows one that raises it or creates it",
    "adapters.operator.doctor.self_test.CONVERSATION": OF_SELF_TEST,
    "adapters.operator.doctor.self_test.ITEM": OF_SELF_TEST,
    "adapters.operator.doctor.self_test.MESSAGE": OF_SELF_TEST,
    "adapters.operator.doctor.self_test.STATUS": OF_SELF_TEST,
    "adapters.piccolo.draft_statements.START": RESERVES,
    "adapters.piccolo.drafts.START": RESERVES,
    "adapters.operator.move.compare.TABLES": COPIES,
    "adapters.operator.move.preflight.TABLES": COPIES,
    "adapters.operator.move.run.TABLES": COPIES,
    "adapters.operator.move.statements.TABLES": COPIES,
}
"""Statements that need not raise it, and why."""

CHANGES = re.compile(
    r"\b(?:UPDATE\s+conversations"
    r"|(?:INSERT\s+INTO|DELETE\s+FROM|UPDATE)\s+(?:messages|conversation_items))\b",
    re.IGNORECASE,
)
CREATES = re.compile(r"\bINSERT\s+INTO\s+conversations\s*\((?P<columns>[^)]*)\)", re.IGNORECASE)
# By one, or by what is in brackets: nothing if the statement changes nothing.
RAISES = re.compile(
    r"\bSET\b(?:(?!\bWHERE\b).)*?\brevision = (?:\w+\.)?revision \+ (?:1\b|\()",
    re.IGNORECASE | re.DOTALL,
)


def leaves_the_revision(sql: str) -> bool:
    """Whether the statement changes or creates a conversation and does not say its revision."""
    created = CREATES.search(sql)
    if created is not None:
        return "revision" not in created["columns"]
    return CHANGES.search(sql) is not None and RAISES.search(sql) is None


def test_every_statement_that_changes_a_conversation_raises_its_revision() -> None:
    left = {name for name, statement in STATEMENTS if leaves_the_revision(statement.sql)}

    assert left == EXCEPTED.keys()


def test_a_statement_that_forgets_it_is_found() -> None:
    for forgets in (
        "UPDATE conversations SET title = $1 WHERE id = $2",
        "INSERT INTO messages (id) VALUES ($1)",
        "WITH gone AS (DELETE FROM conversation_items i WHERE i.item_id = $1) SELECT",
        "INSERT INTO conversations (id, user_id) VALUES ($1, $2)",
        "UPDATE messages SET content = $1",
        "UPDATE conversations SET title = $1 WHERE revision = revision + 1",
    ):
        assert leaves_the_revision(forgets)
    for knows in (
        "UPDATE conversations c SET status = 'archived', revision = c.revision + 1",
        "INSERT INTO conversations (id, revision) VALUES ($1, $2)",
        "SELECT revision FROM conversations",
        "DELETE FROM conversations WHERE id = $1",
    ):
        assert not leaves_the_revision(knows)


def test_there_are_such_statements() -> None:
    changing = {name for name, statement in STATEMENTS if CHANGES.search(statement.sql)}
    assert len(changing) > 12
