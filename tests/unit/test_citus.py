"""What statements need for a cluster of Citus, as far as it shows without one."""

import re
from collections.abc import Mapping
from typing import Any

import asyncpg
import pytest

from chatkeep.adapters.piccolo.by_user import fetch_at_once, fetch_by_user
from chatkeep.adapters.piccolo.citus_errors import as_raised
from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.rules import find_rule
from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.domain.model import UserId
from tests.unit.test_statements import STATEMENTS

SERVICE = [(name, each) for name, each in STATEMENTS if name.startswith("adapters.piccolo.")]
UNIQUE = 'duplicate key value violates unique constraint "messages_pkey_102008"'
OWNER = 'insert or update on table "m_1" violates foreign key constraint "messages_owner_1"'


def test_what_exists_has_a_column() -> None:
    """Citus reads the rows of a subquery without columns, and fails."""
    found = {name for name, each in SERVICE if re.search(r"EXISTS \(\s*SELECT FROM", each.sql)}

    assert found == set()


def test_rows_are_locked_where_nothing_is_joined_to_them() -> None:
    """Citus writes rows that were locked in a join as binary, and reads them as text."""
    found = {
        each.name
        for _, each in SERVICE
        if re.search(r"FOR (NO KEY )?(UPDATE|KEY SHARE) OF", each.sql)
    }

    # On a cluster the first two are sent in the form of the others, which join nothing.
    assert found == {
        "sweeps.archive",
        "sweeps.delete",
        "sweeps.archive_of_user",
        "sweeps.delete_of_user",
    }


@pytest.mark.parametrize(
    ("text", "expected", "name"),
    [
        (UNIQUE, asyncpg.UniqueViolationError, "messages_pkey_102008"),
        (OWNER, asyncpg.ForeignKeyViolationError, "messages_owner_1"),
    ],
)
def test_an_error_of_another_node_is_known_by_its_text(
    text: str, expected: type[asyncpg.PostgresError], name: str
) -> None:
    raised = asyncpg.InternalServerError(text)

    found = as_raised(raised)

    assert type(found) is expected
    assert (found.constraint_name, found.__cause__) == (name, raised)  # type: ignore[attr-defined]


def test_a_constraint_without_a_name_is_not_taken_for_a_rule_of_the_owner() -> None:
    raised = asyncpg.UniqueViolationError(UNIQUE)
    assert find_rule(raised) is not None

    assert as_raised(raised) is raised
    assert find_rule(raised) is None


@pytest.mark.parametrize(
    "error", [asyncpg.InternalServerError("out of luck"), OSError("gone"), asyncpg.DataError("no")]
)
def test_any_other_error_stays_what_it_is(error: Exception) -> None:
    assert as_raised(error) is error


class ByUserEngine(Engine):
    """Answers with the parameters, and refuses statements about several users."""

    __slots__ = ("refusal", "sent")

    def __init__(self, refusal: type[Exception] = asyncpg.FeatureNotSupportedError) -> None:
        super().__init__({})
        self.refusal = refusal
        self.sent: list[str] = []

    async def fetch(self, statement: Statement, /, **values: object) -> list[Any]:
        self.sent.append(statement.name)
        if statement.name == "test.at_once":
            raise self.refusal("complex joins")
        return [values]


async def test_a_plan_that_a_migration_has_outdated_is_not_taken_for_a_refusal() -> None:
    engine = ByUserEngine(asyncpg.InvalidCachedStatementError)

    with pytest.raises(asyncpg.InvalidCachedStatementError):
        await fetch_at_once(engine, Statement("test.at_once", "SELECT 1"), {})

    assert not engine.is_by_user


async def test_a_refused_statement_is_sent_for_each_user_from_then_on() -> None:
    engine = ByUserEngine()
    at_once, of_user = Statement("test.at_once", "SELECT 1"), Statement("test.of_user", "SELECT 1")
    given = [(UserId("bob"), 1), (UserId("alice"), 2), (UserId("bob"), 3)]

    def values(those: Any) -> Mapping[str, Any]:  # noqa: ANN401 - what is given
        return {"numbers": [number for _, number in those]}

    for _ in range(2):
        found = await fetch_by_user(engine, at_once, of_user, given, lambda each: each[0], values)
        assert [(len(those), rows) for those, rows in found] == [
            (2, [{"numbers": [1, 3], "user_id": "bob"}]),
            (1, [{"numbers": [2], "user_id": "alice"}]),
        ]
    assert engine.sent == ["test.at_once", *["test.of_user"] * 4]
