"""Isolation is in every statement: each names the user of each table that it touches.

Deny by default: all modules of `adapters` are looked through, and what is excepted is named here.
"""

import ast
import pkgutil
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest

from chatkeep import adapters
from chatkeep.adapters.piccolo.statement import Statement

OPERATORS = "an operator's: of all users"
OF_GIVEN = "an operator's: of the users that are given with each row"
EXCEPTED = {
    "adapters.operator.adoption.adoptions.ADD_USERS": OF_GIVEN,
    "adapters.operator.adoption.adoptions.MOVE_CONVERSATIONS": OF_GIVEN,
    "adapters.operator.adoption.adoptions.POSITIONS": OF_GIVEN,
    "adapters.operator.adoption.adoptions.STORED": OF_GIVEN,
    "adapters.operator.adoption.adoptions._POSITIONS": OF_GIVEN,
    "adapters.operator.doctor.counts.BATCH": OPERATORS,
    "adapters.operator.doctor.counts.ORPHANS": OPERATORS,
    "adapters.operator.doctor.counts.REMOVE": OPERATORS,
    "adapters.piccolo.engine.PROBE": "reads no row: it asks whether the table is there",
    "adapters.operator.move.run.PRESENT": OPERATORS,
    "adapters.operator.move.run.TABLES": OPERATORS,
    "adapters.operator.move.preflight.HAS_ROWS": OPERATORS,
    "adapters.operator.move.preflight.NEWEST": OPERATORS,
    "adapters.operator.move.preflight.TABLES": OPERATORS,
    "adapters.operator.move.preflight.USERS": OPERATORS,
    "adapters.operator.move.preflight.WRITTEN_SINCE": OPERATORS,
    "adapters.operator.move.statements.TABLES": OPERATORS,
    "adapters.operator.move.statements.USERS": OPERATORS,
    "adapters.operator.stats.report.ARCHIVED": OPERATORS,
    "adapters.operator.stats.report.CONVERSATIONS": OPERATORS,
    "adapters.operator.stats.report.GROWTH": OPERATORS,
    "adapters.operator.stats.report.ITEMS": OPERATORS,
    "adapters.operator.stats.report.LARGEST_CONVERSATIONS": OPERATORS,
    "adapters.operator.stats.report.LARGEST_USERS": OPERATORS,
    "adapters.operator.stats.report.MESSAGES": OPERATORS,
    "adapters.operator.stats.report.RETAINED": OPERATORS,
    "adapters.operator.stats.report.USERS": OPERATORS,
    "adapters.piccolo.sweeps.ARCHIVE": OF_GIVEN,
    "adapters.piccolo.sweeps.COUNT": OPERATORS,
    "adapters.piccolo.sweeps.DELETE": OF_GIVEN,
    "adapters.piccolo.sweeps.TO_ARCHIVE": OPERATORS,
    "adapters.piccolo.sweeps.TO_DELETE": OPERATORS,
    "adapters.piccolo.sweeps._STILL_IDLE": OF_GIVEN,
}
"""Statements that do not name the user of each table, and why they need not."""

MADE_WHILE_RUNNING = {
    "adapters.operator.doctor.structure": "puts the schema right, as an operator asks",
    "adapters.operator.adoption.legacy_queries": "reads the tables of another application",
    "adapters.operator.adoption.legacy_reader": "reads the tables of another application",
    "adapters.operator.move.statements": "copies whole tables, as an operator asks",
}
"""Modules whose functions make statements, and why they may."""

USE_PICCOLOS_TABLES = {
    "adapters.piccolo.piccolo_app": "hands them to Piccolo's commands",
    "adapters.piccolo.sizes": "asks how large they are",
}

TABLES = "conversations|messages|conversation_items|conversation_keys|users"
# A table, and its alias if there is one: a word that is no keyword.
TOUCHED = re.compile(
    rf"\b(?P<how>FROM|JOIN|UPDATE|USING|INTO)\s+(?:ONLY\s+)?(?:\w+\.)?(?P<table>{TABLES})\b"
    r"(?:\s+(?:AS\s+)?(?!(?:SET|WHERE|JOIN|LEFT|CROSS|ORDER|USING|LIMIT|ON|VALUES|SELECT|FOR|GROUP|UNION|RETURNING|AS)\b)"
    r"(?P<alias>[a-z]\w*))?",
    re.IGNORECASE,
)
INSERTED = re.compile(
    rf"INTO\s+(?:{TABLES})(?:\s+AS\s+\w+)?\s*\((?P<columns>[^)]*)\)", re.IGNORECASE
)
UNION = re.compile(r"\b(?:UNION(?:\s+ALL)?|INTERSECT|EXCEPT)\b", re.IGNORECASE)
# A table whose name is put in, or comes in another piece of text.
PUT_IN = re.compile(r"\b(?:FROM|JOIN|UPDATE|INTO)\s+(?:ONLY\s+)?(?:\{\}|$)")


def unguarded(statement: str) -> list[str]:
    """Return what the statement touches without naming the user."""
    missing = []
    for start, end in scopes(statement):
        scope = without_inner(statement[start:end])
        for at, to in pairwise([0, *(found.end() for found in UNION.finditer(scope)), len(scope)]):
            missing += unguarded_in(scope[at:to], statement[start + at : start + to])
    return missing


def unguarded_in(query: str, whole: str) -> list[str]:
    """Look at one query. What is in brackets in it is blank; `whole` is the same with that."""
    missing = []
    bare = {
        column: len(re.findall(rf"(?<![.\w]){column} = \$\d+", query))
        for column in ("user_id", "id")
    }
    for touched in TOUCHED.finditer(query):
        column = "id" if touched["table"].lower() == "users" else "user_id"
        if touched["how"].upper() == "INTO":
            columns = INSERTED.match(whole, touched.start())
            names = columns["columns"].replace(" ", "").split(",") if columns else []
            if column not in names:
                missing.append(touched[0])
        elif touched["alias"]:
            if not re.search(rf"\b{touched['alias']}\.{column} = \$\d+", query):
                missing.append(touched[0])
        elif bare[column]:
            bare[column] -= 1
        else:
            missing.append(touched[0])
    return missing


def scopes(statement: str) -> Iterator[tuple[int, int]]:
    """Yield where the statement, and each part of it in brackets, starts and ends."""
    yield 0, len(statement)
    opened = []
    for at, character in enumerate(statement):
        if character == "(":
            opened.append(at)
        elif character == ")" and opened:
            yield opened.pop() + 1, at


def without_inner(text: str) -> str:
    """Return the text with blanks for all that is in brackets in it."""
    depth, kept = 0, []
    for character in text:
        depth -= character == ")"
        kept.append(" " if depth > 0 else character)
        depth += character == "("
    return "".join(kept)


def texts_of(value: object) -> Iterator[str]:
    if isinstance(value, Statement):
        yield value.sql
    elif isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in (*value.keys(), *value.values()):
            yield from texts_of(each)
    elif isinstance(value, Sequence | set | frozenset) and not isinstance(value, bytes):
        for each in value:
            yield from texts_of(each)
    elif hasattr(value, "__dataclass_fields__") and not isinstance(value, type):
        for name in value.__dataclass_fields__:
            yield from texts_of(getattr(value, name, None))


def short_name(module: ModuleType) -> str:
    return module.__name__.removeprefix("chatkeep.")


def statements_of(module: ModuleType) -> Iterator[tuple[str, str]]:
    """Yield the constants of a module that touch tables, and those of its classes."""
    for name, value in vars(module).items():
        if name == "__doc__":
            continue
        for text in texts_of(value):
            if TOUCHED.search(text):
                yield f"{short_name(module)}.{name}", text
        if isinstance(value, type) and value.__module__ == module.__name__:
            for attribute, each in vars(value).items():
                if attribute != "__doc__":
                    for text in texts_of(each):
                        if TOUCHED.search(text):
                            yield f"{short_name(module)}.{name}.{attribute}", text


Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


def texts_inside(source: str) -> Iterator[tuple[str, str]]:
    """Yield the texts in functions, with `{}` for what is put into them, and the functions' names.

    Not those of functions that make constants: that are called from the module itself only, or by
    others that are.
    """
    tree = ast.parse(source)
    making = makers_of_constants(tree)
    for function in ast.walk(tree):
        if isinstance(function, Function) and name_of(function) not in making:
            for text in texts_in(function):
                yield name_of(function), text


def texts_in(function: Function) -> Iterator[str]:
    docs = None
    if not isinstance(function, ast.Lambda):
        docs = ast.get_docstring(function, clean=False)
    parts = set()
    for node in ast.walk(function):
        if isinstance(node, ast.JoinedStr):
            parts |= {id(part) for part in node.values}
            yield "".join(
                str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values
            )
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and node.value != docs
            and id(node) not in parts
        ):
            yield node.value


def makers_of_constants(tree: ast.Module) -> set[str]:
    """Return the functions of a module that only the module itself uses, while it is imported."""
    making = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    while True:
        inside = {
            name.id
            for node in ast.walk(tree)
            if isinstance(node, Function) and name_of(node) not in making
            for name in ast.walk(node)
            if isinstance(name, ast.Name)
        }
        called = {
            node.func.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        left = (making - inside) & called
        if left == making:
            return making
        making = left


def name_of(function: Function) -> str:
    return "lambda" if isinstance(function, ast.Lambda) else function.name


MODULES = [
    import_module(found.name)
    for found in pkgutil.walk_packages(adapters.__path__, f"{adapters.__name__}.")
]
STATEMENTS = [found for module in MODULES for found in statements_of(module)]


def source_of(module: ModuleType) -> str:
    assert module.__file__ is not None
    return Path(module.__file__).read_text(encoding="utf-8")


def made_while_running(source: str) -> list[str]:
    """Return the functions that have statements in them."""
    return [
        name for name, text in texts_inside(source) if TOUCHED.search(text) or PUT_IN.search(text)
    ]


def uses_piccolos_tables(source: str) -> bool:
    """Whether it imports tables as Piccolo knows them: `Messages.select()` is a statement too."""
    return any(
        isinstance(node, ast.ImportFrom)
        and (
            node.module == "chatkeep.adapters.piccolo.tables"
            or (
                node.module == "chatkeep.adapters.piccolo"
                and any(n.name == "tables" for n in node.names)
            )
        )
        for node in ast.walk(ast.parse(source))
    )


def test_every_statement_names_the_user_of_every_table() -> None:
    found = {name: missing for name, text in STATEMENTS if (missing := unguarded(text))}

    assert {name: missing for name, missing in found.items() if name not in EXCEPTED} == {}
    assert EXCEPTED.keys() <= found.keys()


def test_statements_are_constants() -> None:
    """So that they are looked at here: one that is made while the service runs is not."""
    found = {
        short_name(module): functions
        for module in MODULES
        if (functions := made_while_running(source_of(module)))
    }

    assert {name: it for name, it in found.items() if name not in MADE_WHILE_RUNNING} == {}
    assert MADE_WHILE_RUNNING.keys() <= found.keys()


def test_statements_are_not_made_by_piccolo() -> None:
    using = {short_name(module) for module in MODULES if uses_piccolos_tables(source_of(module))}

    assert using == USE_PICCOLOS_TABLES.keys()


def test_the_statements_are_found() -> None:
    names = {name.removeprefix("adapters.piccolo.") for name, _ in STATEMENTS}

    assert names >= {
        "conversations.CREATE",
        "conversations.LIST",
        "conversations.LIST_STATUS",
        "entries.PAGE",
        "item_statements.APPEND_FREELY",
        "item_statements.PAGE",
        "message_statements.APPEND",
        "message_statements.HISTORY",
        "message_statements.WINDOW",
        "users.USAGE",
    }


HOLES = {
    "no user": "SELECT id, content FROM messages WHERE content ILIKE $1",
    "with an alias": "SELECT m.id FROM messages m WHERE m.id = $1",
    "with AS": "SELECT m.id FROM messages AS m WHERE m.id = $1",
    "with a schema": "SELECT id FROM public.messages WHERE id = $1",
    "in small letters": "select id from messages where id = $1",
    "an update": "UPDATE conversations SET title = $1",
    "an alias updated": "UPDATE conversations c SET title = $1 WHERE c.id = $2",
    "a deletion": "DELETE FROM messages WHERE id = $1",
    "an insertion": "INSERT INTO messages (id) VALUES ($1)",
    "an insertion of all columns": "INSERT INTO messages SELECT $1, $2",
    "one of two tables": (
        "SELECT 1 FROM conversations c JOIN messages m ON m.conversation_id = c.id "
        "WHERE c.user_id = $1"
    ),
    "the other of two tables": (
        "SELECT 1 FROM conversations c JOIN messages m ON m.conversation_id = c.id "
        "WHERE m.user_id = $1"
    ),
    "joined by the user": (
        "SELECT 1 FROM conversations c JOIN messages m USING (user_id) WHERE c.user_id = $1"
    ),
    "a deletion with another table": (
        "DELETE FROM messages m USING conversations c WHERE c.user_id = $1 AND m.id = $2"
    ),
    "in brackets": (
        "SELECT id FROM conversations WHERE user_id = $1 AND EXISTS "
        "(SELECT FROM messages WHERE conversation_id = $2)"
    ),
    "around brackets": (
        "SELECT id FROM conversations WHERE EXISTS (SELECT FROM messages WHERE user_id = $1)"
    ),
    "in brackets, with twice the user outside": (
        "SELECT id FROM conversations WHERE user_id = $1 AND user_id = $1 AND id IN "
        "(SELECT conversation_id FROM messages)"
    ),
    "in one half of a union": (
        "SELECT id FROM messages WHERE user_id = $1 AND user_id = $1 UNION ALL "
        "SELECT item_id FROM conversation_items WHERE item_id = $2"
    ),
    "with an alias of the other half": (
        "SELECT m.id FROM messages m WHERE m.user_id = $1 UNION ALL SELECT m.id FROM messages m"
    ),
    "in a WITH": (
        "WITH found AS (SELECT id FROM messages WHERE id = $1) "
        "SELECT id FROM conversations WHERE user_id = $2"
    ),
    "a user chosen": "SELECT id FROM messages WHERE user_id <> $1",
    "keys": "SELECT digest FROM conversation_keys k WHERE k.key = $1",
    "users": "SELECT id FROM users WHERE created_at > $1",
    "a user": "DELETE FROM users",
}


@pytest.mark.parametrize("statement", HOLES.values(), ids=HOLES)
def test_a_hole_is_caught(statement: str) -> None:
    module = ModuleType("adapters.piccolo.search")
    vars(module).update(SEARCH=statement, SEARCHES={"by": statement}, ALL=(statement,))

    assert [name for name, text in statements_of(module) if unguarded(text)] == [
        "adapters.piccolo.search.SEARCH",
        "adapters.piccolo.search.SEARCHES",
        "adapters.piccolo.search.ALL",
    ]


@pytest.mark.parametrize(
    "source",
    [
        'def find():\n    return fetch("SELECT id FROM messages WHERE user_id = $1")',
        'async def find():\n    await fetch(f"SELECT {columns} FROM messages WHERE id = $1")',
        'async def find():\n    await fetch(f"SELECT id FROM {table} WHERE id = $1")',
        'async def find():\n    await fetch("SELECT id FROM " + table)',
        'class Found:\n    def find(self):\n        sql = "DELETE FROM messages"\n',
        'def _page():\n    return "SELECT id FROM messages"\ndef find():\n    fetch(_page())',
        'def _page():\n    return "SELECT id FROM messages"\nfind = lambda: fetch(_page)',
        'async def _page():\n    return "SELECT id FROM messages"\nPAGE = _page()',
        'find = lambda: fetch("SELECT id FROM messages")',
        'def _page():\n    return "SELECT id FROM messages"\nfind = lambda: fetch(_page())',
    ],
)
def test_a_statement_that_is_made_while_the_service_runs_is_caught(source: str) -> None:
    assert made_while_running(source)


def test_a_function_that_makes_constants_is_none() -> None:
    source = 'def _page(order):\n    return f"SELECT FROM messages {order}"\nPAGE = _page("ASC")'

    assert made_while_running(source) == []


def test_what_makes_constants_is_used_by_its_own_module_only() -> None:
    """Another one could call it while the service runs."""
    making = {
        (short_name(module), node.name)
        for module in MODULES
        for node in ast.parse(source_of(module)).body
        if isinstance(node, ast.FunctionDef)
        and any(TOUCHED.search(text) for text in texts_in(node))
        and short_name(module) not in MADE_WHILE_RUNNING
    }
    imported = {
        ((node.module or "").removeprefix("chatkeep."), alias.name)
        for module in MODULES
        for node in ast.walk(ast.parse(source_of(module)))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }

    assert ("adapters.piccolo.message_statements", "_append") in making
    assert making.isdisjoint(imported)


@pytest.mark.parametrize(
    "source",
    [
        "from chatkeep.adapters.piccolo.tables import Messages",
        "from chatkeep.adapters.piccolo import tables",
    ],
)
def test_a_use_of_piccolos_tables_is_caught(source: str) -> None:
    assert uses_piccolos_tables(source)
