"""Isolation is in every statement: each names the user of each table that it touches."""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType

import pytest

from adapters.piccolo import (
    conversations,
    entries,
    item_statements,
    message_statements,
    messages,
    users,
)

FOLDER = Path(messages.__file__).parent
# A table, and its alias if there is one: a word that is no keyword.
TOUCHED = re.compile(
    r"\b(?P<how>FROM|JOIN|UPDATE|USING|INTO)\s+(?P<table>conversations|messages|conversation_items|conversation_keys)\b"
    r"(?:\s+(?:AS\s+)?(?!SET\b|WHERE\b|JOIN\b|LEFT\b|ORDER\b|USING\b|LIMIT\b|ON\b|VALUES\b)"
    r"(?P<alias>[a-z]\w*))?",
    re.IGNORECASE,
)
INSERTED = re.compile(
    r"INTO\s+(?:conversations|messages|conversation_items|conversation_keys)\s*\((?P<columns>[^)]*)\)"
)
# Reads no row: whether the tables are there.
HARMLESS = {"SELECT FROM messages LIMIT 0"}


def statements_of(module: ModuleType) -> Iterator[tuple[str, str]]:
    for name, value in vars(module).items():
        texts = value.values() if isinstance(value, Mapping) else [value]
        for text in texts:
            if isinstance(text, str) and TOUCHED.search(text):
                yield f"{module.__name__}.{name}", text


STATEMENTS = [
    found
    for module in (conversations, entries, message_statements, users, item_statements)
    for found in statements_of(module)
]


def unguarded(statement: str) -> list[str]:
    """Return what the statement touches without naming the user."""
    missing = []
    bare = len(re.findall(r"(?<![.\w])user_id = \$\d+", statement))
    for touched in TOUCHED.finditer(statement):
        if touched["how"].upper() == "INTO":
            columns = INSERTED.search(statement, touched.start())
            if columns is None or "user_id" not in columns["columns"]:
                missing.append(touched[0])
        elif touched["alias"]:
            if not re.search(rf"\b{touched['alias']}\.user_id = \$\d+", statement):
                missing.append(touched[0])
        elif bare:
            bare -= 1
        else:
            missing.append(touched[0])
    return missing


@pytest.mark.parametrize("statement", [text for _, text in STATEMENTS])
def test_every_statement_names_the_user_of_every_table(statement: str) -> None:
    assert unguarded(statement) == []


def test_the_statements_are_found() -> None:
    names = {name.rpartition(".")[2] for name, _ in STATEMENTS}

    assert names >= {"APPEND", "APPEND_WINDOW", "HISTORY", "WINDOW", "LIST", "CREATE", "USAGE"}


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT id FROM conversations WHERE id = $1",
        "SELECT m.id FROM messages m WHERE m.id = $1",
        "UPDATE conversations SET title = $1",
        "SELECT 1 FROM conversations c JOIN messages m ON true WHERE c.user_id = $1",
        "DELETE FROM messages WHERE id = $1",
        "INSERT INTO messages (id) VALUES ($1)",
        "SELECT 1 FROM conversations c JOIN messages m USING (user_id) WHERE c.user_id = $1",
    ],
)
def test_a_statement_that_does_not_is_caught(statement: str) -> None:
    assert unguarded(statement)


def test_there_is_no_statement_outside_of_those() -> None:
    """Whoever writes one into a function must move it to where these tests look."""
    inside = []
    for path in FOLDER.glob("*.py"):
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                inside += [
                    (path.name, function.name, node.value)
                    for node in ast.walk(function)
                    if isinstance(node, ast.Constant)
                    and isinstance(node.value, str)
                    and TOUCHED.search(node.value)
                    and node.value not in HARMLESS
                    and node.value != ast.get_docstring(function, clean=False)
                ]

    builders = {"_append", "_list", "_ends", "_page", "_history", "_history_between"}
    builders |= {"_moved", "_rows", "_page_after"}
    assert [found for found in inside if found[1] not in builders] == []
