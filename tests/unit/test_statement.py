"""How a statement is compiled: named parameters become numbered ones, and mistakes are found."""

import pytest

from chatkeep.adapters.piccolo.statement import Statement, StatementError


def test_parameters_are_numbered_in_the_order_in_which_they_appear() -> None:
    statement = Statement("x.find", "SELECT id FROM t WHERE user_id = :user_id AND id > :id")

    assert statement.sql == "SELECT id FROM t WHERE user_id = $1 AND id > $2"
    assert statement.parameters == ("user_id", "id")


def test_a_parameter_that_appears_again_keeps_its_number() -> None:
    statement = Statement("x", "SELECT :b, :a, :b::text, (:a), ARRAY[:b]")

    assert statement.sql == "SELECT $1, $2, $1::text, ($2), ARRAY[$1]"
    assert statement.parameters == ("b", "a")


def test_a_fragment_serves_statements_with_different_parameters() -> None:
    owned = "user_id = :user_id AND conversation_id = :conversation_id"

    first = Statement("x", f"SELECT FROM t WHERE id = :id AND {owned}")
    second = Statement("y", f"DELETE FROM t WHERE {owned}")

    assert first.parameters == ("id", "user_id", "conversation_id")
    assert second.sql == "DELETE FROM t WHERE user_id = $1 AND conversation_id = $2"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT ':no'",
        "SELECT 'it''s :no'",
        r"SELECT E'it\'s :no', e'\\', 1",
        r"SELECT '\'::text",
        "SELECT U&':no'",
        'SELECT ":no" FROM "a"":no"',
        "SELECT 1 -- not :this",
        "SELECT 1 --",
        "SELECT /* :no /* :no */ :no */ 1",
        "SELECT $$ :no $$, $tag$ $$ :no $tag$",
        "SELECT a::text, b :: int, c::text[]::uuid[]",
        "SELECT one$1, nüd$:: text",
        "SELECT jsonb_path_query(a, '$[*] ? (@.b == :no)')",
        "SELECT",
        "",
    ],
)
def test_what_is_no_parameter_is_left_as_it_is(sql: str) -> None:
    statement = Statement("x", sql)

    assert statement.sql == sql
    assert statement.parameters == ()


def test_parameters_around_other_text_are_found() -> None:
    statement = Statement("x", "SELECT ':no' || :a/* :no */||:b -- :no\n, \":no\", $$:no$$, :c")

    assert statement.sql == "SELECT ':no' || $1/* :no */||$2 -- :no\n, \":no\", $$:no$$, $3"


@pytest.mark.parametrize(
    ("sql", "problem"),
    [
        ("SELECT $1", "a numbered parameter"),
        ("SELECT :id, $2", "a numbered parameter"),
        ("SELECT $a$ :id", "a dollar quote that does not end"),
        ("SELECT 'a", "a string that does not end"),
        (r"SELECT E'a\'", "a string that does not end"),
        ('SELECT "a', "a quoted identifier that does not end"),
        ("SELECT 1 /* /* */", "a comment that does not end"),
        ("SELECT : id", "a colon that is neither a cast nor a parameter"),
        ("SELECT :1", "a colon that is neither a cast nor a parameter"),
        ("SELECT a := b", "a colon that is neither a cast nor a parameter"),
        ("SELECT :Id", "a colon that is neither a cast nor a parameter"),
        ("SELECT :idÖ", "a colon that is neither a cast nor a parameter"),
        ("SELECT a[1:n]", "a colon that is neither a cast nor a parameter"),
        ("SELECT a:n", "a colon that is neither a cast nor a parameter"),
    ],
)
def test_a_mistake_is_refused_with_its_place(sql: str, problem: str) -> None:
    with pytest.raises(StatementError, match=f"^x.find: .*{problem}"):
        Statement("x.find", sql)


@pytest.mark.parametrize("sql", ["SELECT", "SELECT :a", "SELECT :b, :a, :c, :b"])
def test_values_are_bound_by_name(sql: str) -> None:
    statement = Statement("x", sql)
    values: dict[str, object] = {
        name: name.upper() for name in ("c", "a", "b") if name in statement.parameters
    }

    assert statement.bind(values) == tuple(name.upper() for name in statement.parameters)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({}, r"missing \(a, b\), unknown \(\)"),
        ({"a": 1}, r"missing \(b\), unknown \(\)"),
        ({"a": 1, "b": 2, "c": 3}, r"missing \(\), unknown \(c\)"),
        ({"a": 1, "c": 3}, r"missing \(b\), unknown \(c\)"),
    ],
)
def test_values_that_do_not_fit_are_refused(values: dict[str, int], problem: str) -> None:
    with pytest.raises(TypeError, match=f"^x: {problem}$"):
        Statement("x", "SELECT :a, :b").bind(values)
