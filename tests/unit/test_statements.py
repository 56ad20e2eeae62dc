"""Isolation is in every statement: each names the user of each table that it touches.

Deny by default: all modules of `adapters` are searched for statements, for SQL that is not one, and
for queries that Piccolo builds. Exceptions are listed here by name, each with its reason.
"""

import ast
import pkgutil
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import TypeVar

import pytest

from chatkeep import adapters
from chatkeep.adapters.piccolo.statement import Statement

OPERATORS = "an operator's: of all users"
OF_GIVEN = "an operator's: of the users that are given with each row"
NO_USERS_DATA = "holds no user's data"
EXCEPTED = {
    "adapters.operator.adoption.target.ADD_USERS": OF_GIVEN,
    "adapters.operator.adoption.target.MOVE_CONVERSATIONS": OF_GIVEN,
    "adapters.operator.adoption.target.POSITIONS": OF_GIVEN,
    "adapters.operator.adoption.target.STORED": OF_GIVEN,
    "adapters.operator.doctor.counts.BATCH": OPERATORS,
    "adapters.operator.doctor.counts.ORPHANS": OPERATORS,
    "adapters.operator.doctor.search_index.BATCH": OPERATORS,
    "adapters.operator.move.preflight.HAS_ROWS": OPERATORS,
    "adapters.operator.move.preflight.NEWEST": OPERATORS,
    "adapters.operator.move.compare.PRESENT": OPERATORS,
    "adapters.operator.move.statements.TABLES": OPERATORS,
    "adapters.operator.move.statements.USERS": OPERATORS,
    "adapters.operator.stats.statements.ARCHIVED": OPERATORS,
    "adapters.operator.stats.statements.CONVERSATIONS": OPERATORS,
    "adapters.operator.stats.statements.GROWTH": OPERATORS,
    "adapters.operator.stats.statements.ITEMS": OPERATORS,
    "adapters.operator.stats.statements.LARGEST_USERS": OPERATORS,
    "adapters.operator.stats.statements.MESSAGES": OPERATORS,
    "adapters.operator.stats.statements.ORIGINALS": OPERATORS,
    "adapters.operator.stats.statements.RETAINED": OPERATORS,
    "adapters.operator.stats.statements.USERS": OPERATORS,
    "adapters.piccolo.audit.FORGET": OPERATORS,
    "adapters.piccolo.audit.PAGE": OPERATORS,
    "adapters.piccolo.event_statements.FORGET": OPERATORS,
    "adapters.piccolo.events.FORGET": OPERATORS,
    "adapters.piccolo.event_statements.ACTIVITY": "of the users whose feeds are followed here",
    "adapters.piccolo.event_statements.MOVED": "of the users whose conversations are followed here",
    "adapters.piccolo.draft_statements.FORGET": OPERATORS,
    "adapters.piccolo.draft_statements.FORGET_WAITING": OPERATORS,
    "adapters.piccolo.drafts.FORGET_WAITING": OPERATORS,
    "adapters.piccolo.draft_statements.OVERDUE": OPERATORS,
    "adapters.piccolo.engine.PROBE": "reads no row: it asks whether the table is there",
    "adapters.piccolo.overview.DAY": OPERATORS,
    "adapters.piccolo.overview.DRAFTS": OPERATORS,
    "adapters.piccolo.overview.RECENT_DAYS": OPERATORS,
    "adapters.piccolo.search_users.ALL": OPERATORS,
    "adapters.piccolo.search_users.WITH_INDEX": OPERATORS,
    "adapters.piccolo.user_list.IDS": OPERATORS,
    "adapters.piccolo.user_list.PAGE": OPERATORS,
    "adapters.piccolo.users.IDS": OPERATORS,
    "adapters.piccolo.users.PAGE": OPERATORS,
    "adapters.piccolo.sweeps.ARCHIVE": OF_GIVEN,
    "adapters.piccolo.sweeps.COUNT": OPERATORS,
    "adapters.piccolo.sweeps.DELETE": OF_GIVEN,
}
"""Statements that do not name the user of each table, and why they need not."""

NO_STATEMENTS = {
    "adapters.piccolo.change_statements._INSERT": "is a part of statements of other modules",
    "adapters.piccolo.paths.SPANS": "is a part of statements of path_statements.py",
    "adapters.piccolo.paths._HERE": "is a part of statements of path_statements.py",
    "adapters.operator.doctor.counts.REMOVE": "is printed for the operator to run",
}
"""SQL in constants that is neither a statement nor a part of one."""

MADE_WHILE_RUNNING = {
    "adapters.operator.adoption.legacy_queries": "reads the tables of another application",
    "adapters.operator.adoption.legacy_reader": "reads the tables of another application",
    "adapters.operator.doctor.structure": "prints what an operator may run",
    "adapters.piccolo.change_statements": "makes parts of statements, while those are imported",
    "adapters.operator.move.statements": "copies whole tables, as an operator asks",
}
"""Modules whose functions make statements, and why they may."""

USE_PICCOLOS_TABLES = {
    ("adapters.operator.adoption.target", "Adoptions"): NO_USERS_DATA,
    ("adapters.operator.adoption.target", "WhereRaw"): "compares with an array of ids",
    ("adapters.operator.doctor.counts", "Conversations"): "locks one conversation of one user",
    ("adapters.operator.move.preflight", "Conversations"): OPERATORS,
    ("adapters.operator.move.statements", "tables"): "asks for the names of columns",
    ("adapters.operator.stats.statements", "Conversations"): OPERATORS,
    ("adapters.piccolo.draft_statements", "DraftRows"): "asks for the names of columns",
    ("adapters.piccolo.migrate", "Migration"): "gives Piccolo's command its engine",
    ("adapters.piccolo.migrate", "Migrations"): NO_USERS_DATA,
    ("adapters.piccolo.fork_statements", "ConversationItems"): "asks for the names of columns",
    ("adapters.piccolo.fork_statements", "Messages"): "asks for the names of columns",
    ("adapters.piccolo.rows", "Conversations"): "asks for the names of columns",
    ("adapters.piccolo.rows", "Messages"): "asks for the names of columns",
    ("adapters.piccolo.piccolo_app", "TABLES"): "hands them to Piccolo's commands",
    ("adapters.piccolo.schema", "tables"): "asks for the types of columns",
    ("adapters.piccolo.sizes", "TABLES"): "asks how large they are",
    ("adapters.piccolo.sweeps", "ConversationSweeps"): NO_USERS_DATA,
    ("adapters.piccolo.sweeps", "Conversations"): OPERATORS,
    ("adapters.piccolo.users", "UserIds"): "adds the user that it is given",
}
"""Which modules have tables that Piccolo builds queries on, and what for."""

NOT_TABLES = {"CompositeKey", "MADE_BY_CHATKEEP", "column_names", "table_name"}
"""What modules may import from `tables` without being listed."""

SEND_PAST_THE_ENGINE = {
    "adapters.operator.doctor.connecting": "looks at another database",
    "adapters.operator.doctor.rollback_session": "sets savepoints around other statements",
    "adapters.operator.move.run": "copies rows in binary",
    "adapters.piccolo.engine": "is the engine",
    "adapters.piccolo.sql_migration": "runs the scripts of migrations",
}
"""Modules that call a connection themselves."""

TABLES = (
    "conversations|messages|conversation_items|conversation_branches|conversation_changes|"
    "conversation_keys|drafts|draft_chunks|search_conversations|search_segments|audit_lines|users"
)
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
PARAMETER = re.compile(r"\$\d+")
NAMED_PARAMETER = re.compile(r"(?<!:):[a-z_][a-z0-9_]*")
# A table whose name is put in, or comes in another piece of text.
PUT_IN = re.compile(r"\b(?:FROM|JOIN|UPDATE|INTO)\s+(?:ONLY\s+)?(?:\{\}|$)")


T = TypeVar("T")


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
        column: len(re.findall(rf"(?<![.\w]){column} = (?:\$\d+|:\w+)", query))
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
            if not re.search(rf"\b{touched['alias']}\.{column} = (?:\$\d+|:\w+)", query):
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


def values_of(value: object, kind: type[T]) -> Iterator[T]:
    """Yield what there is of that kind in a constant, however deep."""
    if isinstance(value, kind):
        yield value
    elif isinstance(value, str | bytes | Statement | type):
        return
    elif isinstance(value, Mapping):
        for each in (*value.keys(), *value.values()):
            yield from values_of(each, kind)
    elif isinstance(value, Sequence | set | frozenset):
        for each in value:
            yield from values_of(each, kind)
    elif is_dataclass(value):
        for field in fields(value):
            yield from values_of(getattr(value, field.name, None), kind)


def short_name(module: ModuleType) -> str:
    return module.__name__.removeprefix("chatkeep.")


def constants_of(module: ModuleType) -> Iterator[tuple[str, object]]:
    """Yield the constants of a module, and those of its classes, by name."""
    for name, value in vars(module).items():
        if name.startswith("__"):
            continue
        yield f"{short_name(module)}.{name}", value
        if isinstance(value, type) and value.__module__ == module.__name__:
            for attribute, each in vars(value).items():
                if not attribute.startswith("__"):
                    yield f"{short_name(module)}.{name}.{attribute}", each


def statements_of(module: ModuleType) -> Iterator[tuple[str, Statement]]:
    for name, value in constants_of(module):
        for statement in values_of(value, Statement):
            yield name, statement


def stray_sql_of(module: ModuleType) -> Iterator[str]:
    """Yield the constants with SQL that is neither a statement nor a part of one of the module."""
    whole = [PARAMETER.sub("$", each.sql) for _, each in statements_of(module)]
    for name, value in constants_of(module):
        for text in values_of(value, str):
            part = NAMED_PARAMETER.sub("$", text)
            if TOUCHED.search(text) and not any(part in each for each in whole):
                yield name


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


def tables_of_piccolo(source: str) -> set[str]:
    """Return what a module imports that Piccolo makes statements of: tables, and pieces of SQL."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names if each.name.endswith(".tables")}
        elif isinstance(node, ast.ImportFrom):
            names = {each.name for each in node.names}
            if (node.module or "").endswith(("piccolo.tables", "migrations.tables")):
                found |= names - NOT_TABLES
            else:
                found |= names & {"tables", "WhereRaw", "QueryString", "Unquoted"}
    return found


SENDING = {
    *("cursor", "execute", "executemany", "fetch", "fetch_noting", "fetchmany", "fetchrow"),
    *("copy_from_query", "fetchval", "prepare"),
}
ENGINES = {"engine", "source", "target"}


def sends_text(source: str) -> bool:
    """Whether it calls what takes any SQL: a method of a connection, or `Engine.run`."""
    return any(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and (
            (node.func.attr in SENDING and not is_engine(node.func.value))
            or (node.func.attr == "run" and (is_engine(node.func.value) or is_super(node.func)))
        )
        for node in ast.walk(ast.parse(source))
    )


def names_of_queries(source: str) -> Iterator[str]:
    """Yield the names under which a module sends what Piccolo builds."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "fetch_query":
            assert isinstance(node.args[0], ast.Constant), ast.unparse(node)
            yield str(node.args[0].value)


def is_super(method: ast.Attribute) -> bool:
    call = method.value
    return isinstance(call, ast.Call) and getattr(call.func, "id", "") == "super"


def is_engine(node: ast.expr) -> bool:
    """Whether it is called an engine, whose `fetch` takes statements only."""
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    return name.strip("_") in ENGINES


def test_every_statement_names_the_user_of_every_table() -> None:
    found = [
        (name, each.sql, missing) for name, each in STATEMENTS if (missing := unguarded(each.sql))
    ]
    excepted = {text for name, text, _ in found if name in EXCEPTED}  # others import them

    assert {name: missing for name, text, missing in found if text not in excepted} == {}
    assert EXCEPTED.keys() <= {name for name, _, _ in found}


def test_sql_in_constants_is_a_statement_or_a_part_of_one() -> None:
    found = {name for module in MODULES for name in stray_sql_of(module)}

    assert found == NO_STATEMENTS.keys()


def test_statements_are_constants() -> None:
    """So that they are looked at here: one that is made while the service runs is not."""
    found = {
        short_name(module): functions
        for module in MODULES
        if (functions := made_while_running(source_of(module)))
    }

    assert {name: it for name, it in found.items() if name not in MADE_WHILE_RUNNING} == {}
    assert MADE_WHILE_RUNNING.keys() <= found.keys()


def test_statements_are_made_by_piccolo_only_where_that_is_listed() -> None:
    using = {
        (short_name(module), name)
        for module in MODULES
        for name in tables_of_piccolo(source_of(module))
    }

    assert using == USE_PICCOLOS_TABLES.keys()


def test_statements_go_through_the_engine() -> None:
    """It takes no text. What a connection takes is not looked at here."""
    found = {short_name(module) for module in MODULES if sends_text(source_of(module))}

    assert found == SEND_PAST_THE_ENGINE.keys()


PAGES = (
    f"{page}.{kind}.{order}.{bound}"
    for page in ("page", "path_page", "deep_page")
    for kind in ("items", "messages", "originals", "whole")
    for order in ("asc", "desc")
    for bound in ("item", "messages", "positions")
)
BRANCH_PAGES = (
    f"branch_page.{kind}.{order}.{bound}"
    for kind in ("messages", "originals")
    for order in ("asc", "desc")
    for bound in ("messages", "positions")
)
NAMES = {
    "audit": ("add", "forget", "page", "page_of_user"),
    "branches": ("delete", "ends.asc", "ends.desc", "place", "rewrite", "save", "tree"),
    "conversations": (
        *("change", "delete", "get", "get_or_create", "list", "list.active", "list.archived"),
        *("list_after", "list_after.active", "list_after.archived"),
        *("find", "find.active", "find.archived", "find_active"),
        *("find_by_creation", "count"),
    ),
    "drafts": (
        *("chunks", "end_empty", "forget", "forget_waiting", "get", "latest", "overdue"),
        *("start", "take_over", "write"),
    ),
    "engine": ("probe",),
    "locks": ("try", "wait"),
    "events": (
        "activity",
        "activity_of_user",
        "forget",
        "latest",
        "moved",
        "moved_of_user",
        "moved_since",
        "read",
    ),
    "log": (
        *("append", "append_items", "append_items_with_ids", "append_items_with_key"),
        *("append_mixed", "append_one_whole", "append_one_window_whole", "append_whole"),
        *("append_window_whole", "at.originals", "create_whole", "get_whole"),
        *("append_placed", "create_with_branches", "fork", "path_window", "deep_window"),
        *("end_draft", "end_draft_placed"),
        *("append_one", "append_one_window", "append_window", "at.items", "at.messages"),
        *("at.whole", "calls_before", "count", "since", "create", "create_with_items", "delete"),
        *(
            "delete_at",
            "find",
            "get",
            "key",
            "patch",
            "put",
            "replace",
            "stored",
            "taken",
            "truncate",
            "window",
        ),
        *PAGES,
        *BRANCH_PAGES,
    ),
    "migrate": ("exists", "lock_timeout", "ran"),
    "search": (
        *("candidates", "candidates_any", "candidates_any_within", "candidates_within", "lanes"),
        *("read_back", "read_on", "segments", "stale", "titles", "titles_within", "write"),
        *("users", "users_with_index"),
    ),
    "sizes": ("sizes",),
    "statistics": ("analyze",),
    "sweeps": (
        *("archive", "archive_of_user", "claim", "count", "delete", "delete_of_user"),
        *("finish", "to_archive", "to_delete"),
    ),
    "overview": (
        *("database", "day", "drafts", "last_examination", "last_sweep", "recent_days"),
        "record_examination",
    ),
    "transaction": ("read_only", "read_snapshot"),
    "users": (
        "activity",
        "add",
        "ids",
        "erasable",
        "erase",
        "erase_conversations",
        "exists",
        "id_column",
        "page",
        "usage",
    ),
}
"""The names by which logs and traces call the statements of the service."""


def test_the_names_in_logs_and_traces_stay_what_they_are() -> None:
    modules = [each for each in MODULES if short_name(each).startswith("adapters.piccolo")]
    named = {each.name for module in modules for _, each in statements_of(module)}
    named |= {name for module in modules for name in names_of_queries(source_of(module))}

    assert named == {f"{family}.{name}" for family, names in NAMES.items() for name in names}


def test_each_statement_has_a_name_of_its_own() -> None:
    statements = {id(each): each.name for _, each in STATEMENTS}
    names = list(statements.values())

    assert [name for name in names if not re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", name)] == []
    assert sorted(names) == sorted(set(names))


def test_the_statements_are_found() -> None:
    names = {name.removeprefix("adapters.piccolo.") for name, _ in STATEMENTS}

    assert names >= {
        "conversations.GET",
        "conversations.LIST",
        "conversations.LIST_STATUS",
        "log_pages.AT",
        "log_pages.PAGE",
        "log_append_statements.APPEND_PLAIN",
        "log_append_statements.APPEND_ITEMS",
        "log_append_statements.CREATE",
        "window_statements.WINDOW",
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
    made = Statement("search.search", PARAMETER.sub(":it", statement))
    module = ModuleType("adapters.piccolo.search")
    vars(module).update(SEARCH=made, SEARCHES={"by": made}, ALL=(made,))

    assert [name for name, each in statements_of(module) if unguarded(each.sql)] == [
        "adapters.piccolo.search.SEARCH",
        "adapters.piccolo.search.SEARCHES",
        "adapters.piccolo.search.ALL",
    ]


@pytest.mark.parametrize("sql", HOLES.values(), ids=HOLES)
def test_sql_that_is_no_statement_is_caught(sql: str) -> None:
    class Search:
        by = sql

    Search.__module__ = "adapters.piccolo.search"
    module = ModuleType("adapters.piccolo.search")
    vars(module).update(SEARCH=sql, SEARCHES={"by": sql}, Search=Search)

    assert list(stray_sql_of(module)) == [
        "adapters.piccolo.search.SEARCH",
        "adapters.piccolo.search.SEARCHES",
        "adapters.piccolo.search.Search.by",
    ]


def test_a_part_of_a_statement_is_not_sent() -> None:
    part = "SELECT id FROM messages WHERE user_id = :user_id AND id = :id::uuid"
    module = ModuleType("adapters.piccolo.search")
    vars(module).update(
        _PART=part, SEARCH=Statement("search.search", f"SELECT :n, ({part}) AS found")
    )

    assert list(stray_sql_of(module)) == []


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

    assert ("adapters.piccolo.log_append_statements", "_messages") in making
    assert making.isdisjoint(imported)


@pytest.mark.parametrize(
    ("source", "table"),
    [
        ("from chatkeep.adapters.piccolo.tables import Messages", "Messages"),
        ("from chatkeep.adapters.piccolo.tables import Messages as M, table_name", "Messages"),
        ("def find():\n    from chatkeep.adapters.piccolo.tables import Users", "Users"),
        ("from chatkeep.adapters.piccolo import tables", "tables"),
        ("import chatkeep.adapters.piccolo.tables as t", "chatkeep.adapters.piccolo.tables"),
        ("from piccolo.apps.migrations.tables import Migration", "Migration"),
        ("from piccolo.columns.combination import And, WhereRaw", "WhereRaw"),
        ("from piccolo.querystring import QueryString", "QueryString"),
    ],
)
def test_a_use_of_piccolos_tables_is_caught(source: str, table: str) -> None:
    assert tables_of_piccolo(source) == {table}


@pytest.mark.parametrize(
    "call",
    [
        'connection.fetch("SELECT FROM messages")',
        "self._connection.execute(MESSAGES.sql)",
        "pool.fetchval(sql)",
        "(await engine.checkout()).fetch(sql)",
        'super().run("name", sql, (), None)',
        'self._engine.run("name", sql, (), None)',
        'engine.transaction.connection.fetch("SELECT")',
    ],
)
def test_what_goes_past_the_engine_is_caught(call: str) -> None:
    assert sends_text(f"async def find():\n    await {call}")


@pytest.mark.parametrize("call", ["engine.fetch(GET)", "self._source.fetch_noting(GET, id=id)"])
def test_a_statement_for_the_engine_is_none(call: str) -> None:
    assert not sends_text(f"async def find():\n    await {call}")
