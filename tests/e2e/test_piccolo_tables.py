"""The tables as Piccolo knows them never reach rows of another user."""

import inspect
import sys
from types import ModuleType
from typing import Any
from uuid import uuid4

import pytest
from piccolo.conf.apps import ENVIRONMENT_VARIABLE
from piccolo.table import Table

from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.tables import (
    DB,
    TABLES,
    CompositeKey,
    CompositeKeyError,
    ConversationKeys,
    Conversations,
    Messages,
    Users,
    column_names,
)
from tests.support.postgres import query

PRIMARY_KEYS = """
SELECT i.indrelid::regclass::text AS name, array_agg(a.attname::text ORDER BY k.n) AS key
FROM pg_index i
CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k (number, n)
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
WHERE i.indisprimary AND i.indrelid = ANY (:names::text[]::regclass[])
GROUP BY i.indrelid"""
COMPOSITE = [table for table in TABLES if issubclass(table, CompositeKey)]
METHODS = {
    name for name, _ in inspect.getmembers(Table, inspect.isfunction) if not name.startswith("_")
}
HARMLESS = {"to_dict"}
ID = uuid4()


def name_of(table: type[Table]) -> str:
    name: str = table._meta.tablename  # noqa: SLF001 - where Piccolo keeps it
    return name


def key_of(table: type[Table]) -> list[str]:
    """Return the columns of the primary key, as they are known here or to Piccolo."""
    if issubclass(table, CompositeKey):
        return list(table.key_columns)
    return [table._meta.primary_key._meta.name]  # noqa: SLF001 - where Piccolo keeps it


async def test_the_keys_are_those_of_the_schema(engine: Engine) -> None:
    names = [name_of(table) for table in TABLES]
    rows = await query(engine, PRIMARY_KEYS, names=names)

    assert {row["name"]: row["key"] for row in rows} == {
        name_of(table): key_of(table) for table in TABLES
    }


@pytest.mark.parametrize("method", sorted(METHODS - HARMLESS))
@pytest.mark.parametrize("table", COMPOSITE)
def test_what_finds_a_row_by_a_part_of_its_key_is_refused(table: Any, method: str) -> None:  # noqa: ANN401 - any table
    with pytest.raises(CompositeKeyError) as refused:
        getattr(table(_ignore_missing=True), method)()

    assert str(refused.value).startswith(f"{method}() would reach rows of other users")
    for column in table.key_columns:
        assert f"{table.__name__}.{column} == ..." in str(refused.value)


@pytest.mark.parametrize("table", [table for table in TABLES if table not in COMPOSITE])
def test_a_table_with_a_simple_key_goes_on_as_ever(table: type[Table]) -> None:
    assert (table.save, table.remove) == (Table.save, Table.remove)


def test_a_query_is_built_without_an_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our own engine runs it; only Piccolo's commands need `piccolo_conf`."""
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "tests.nowhere")

    [built] = Messages.select(Messages.id).where(Messages.user_id == "alice").querystrings

    assert built.compile_string() == (
        'SELECT ALL "messages"."id" AS "id" FROM "messages" WHERE "messages"."user_id" = $1',
        ["alice"],
    )


def test_an_object_that_is_only_looked_at_needs_no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading `piccolo_conf` may start the embedded Postgres."""
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "tests.nowhere")

    for name in ("__dataclass_fields__", "_mock_name"):
        assert not hasattr(DB, name)
    with pytest.raises(ModuleNotFoundError):
        hasattr(DB, "transaction")


async def test_piccolo_itself_runs_queries_on_the_engine_that_is_configured(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    configuration = ModuleType("tests.configuration")
    vars(configuration)["DB"] = engine
    monkeypatch.setitem(sys.modules, configuration.__name__, configuration)
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, configuration.__name__)

    await Users.insert(Users(id="alice"))

    assert await Users.select(Users.id) == [{"id": "alice"}]


@pytest.mark.parametrize("table", TABLES)
def test_the_columns_are_those_that_are_declared(table: type[Table]) -> None:
    names = column_names(table)

    assert [getattr(table, name)._meta.name for name in names] == list(names)  # noqa: SLF001 - where Piccolo keeps it
    assert column_names(table, without=names[1:]) == names[:1]
    with pytest.raises(ValueError, match="has no column nothing"):
        column_names(table, without=["nothing"])


def a_message(user_id: str) -> Messages:
    return Messages(id=ID, user_id=user_id, _ignore_missing=True)


def test_rows_are_equal_when_their_whole_keys_are() -> None:
    assert a_message("alice") == a_message("alice")
    assert a_message("alice") != a_message("bob")
    assert a_message("alice") != Conversations(id=ID, user_id="alice")


def test_the_key_of_a_request_is_not_removed_for_every_user() -> None:
    """Piccolo would send: DELETE FROM conversation_keys WHERE key = '1'."""
    with pytest.raises(CompositeKeyError, match=r"delete\(\) with .where\(.*user_id == "):
        ConversationKeys(key="1", _ignore_missing=True).remove()
