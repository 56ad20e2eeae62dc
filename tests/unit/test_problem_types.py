"""Every exception that is raised on purpose has a problem type, or never reaches an answer.

Deny by default: a new one is named here with its reason, or `http.domain_problems` knows it.
"""

import ast
import builtins
import inspect
import pkgutil
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from litestar import Response

from chatkeep import adapters, domain, entrypoints
from chatkeep.domain.errors import ChatkeepError
from chatkeep.entrypoints.http.exception_handlers import EXCEPTION_HANDLERS
from chatkeep.entrypoints.http.openapi.examples import PROBLEMS
from chatkeep.entrypoints.http.problems import TYPE_PREFIX, Problem
from chatkeep.entrypoints.openai.errors import answer_like_openai
from chatkeep.entrypoints.openai.schemas import Error

NEVER_ANSWERED = {
    "domain.errors.ChatkeepError": "the root: only its subclasses are raised",
    "domain.operations.adoption.layout.AdoptionError": "only `chatkeep adopt` raises it",
    "domain.operations.selftest.checks.BrokenPromiseError": "only `chatkeep doctor` raises it",
    "adapters.database_endpoint.DatabaseUrlError": "the service does not start",
    "adapters.telemetry.TracesError": "the service does not start",
    "adapters.embedded.binaries.EmbeddedPostgresError": "the service does not start",
    "domain.errors.DatabaseError": "only commands for operators raise it",
    "domain.operations.distribution.DistributionError": "`chatkeep distribute` raises it",
    "domain.operations.migrations.MigrationError": "only `chatkeep migrate` raises it",
    "domain.operations.move.MoveError": "only `chatkeep move` raises it",
    "adapters.operator.doctor.rollback_session._RollBack": "`chatkeep doctor` catches it",
    "adapters.piccolo.pool.PoolClosedError": "the engine makes a StoreUnavailableError of it",
    "adapters.piccolo.errors.EncodingError": "it is the cause of a StoreUnavailableError",
    "adapters.piccolo.allowance.CrowdedError": "the engine waits for a connection then",
    "adapters.piccolo.races.GoneError": "the call is made again",
    "adapters.piccolo.statement.StatementError": "raised when a module is imported",
    "adapters.piccolo.tables.CompositeKeyError": "the service does not use these methods",
    "domain.formats.part_forms._NoFormError": "the part is left out and named in the answer",
    "domain.json_values.TooManyValuesError": "an item's shape makes an InvalidValueError of it",
    "entrypoints.http.auth.tokens.InvalidTokenError": "the identity makes an IdentityError of it",
    "entrypoints.http.auth.jwks.UnknownKeyError": "the identity makes an IdentityError of it",
    "entrypoints.http.auth.jwks.JwksUnavailableError": "the identity makes an IdentityError of it",
    "entrypoints.settings.SettingsError": "the service does not start",
    "entrypoints.serving.AddressError": "the service does not start",
    "entrypoints.formats.json_stream.BrokenFileError": "only `chatkeep import` raises it",
}

# Modules that raise exceptions of Python itself, or of a library.
NOT_OUR_OWN = {
    "adapters.piccolo.statement": "values that do not fit a statement are a mistake of ours",
    "adapters.piccolo.tables": "raised when a module is imported",
    "adapters.piccolo.sql_migration": "only migrations use it",
    "adapters.embedded.binaries": "before the service starts",
    "domain.operations.adoption.json_columns": "only `chatkeep adopt` uses it",
    "domain.formats.tool_calls": "caught there: a text that is not JSON is no call's argument",
    "domain.json_fields": "the format's reader makes an InvalidValueError of it",
    "domain.json_values": "an item's shape makes an InvalidValueError of it",
    "domain.model.messages": "a message without an id is a mistake of ours",
    "domain.parts": "caught there: a number that is out of range",
    "domain.operations.sweep": "the settings and the commands say what is wrong with a duration",
    "entrypoints.http.body": "Litestar's own, which has a handler",
    "entrypoints.console.page": "Litestar's own, which has a handler",
    "entrypoints.http.openapi.pages": "before the service starts",
    "entrypoints.http.json_documents": "its callers make an InvalidValueError of it",
    "entrypoints.http.auth.fetch": "the keys of the identity provider are unavailable then",
    "entrypoints.http.auth.identity": "before the service starts",
    "entrypoints.http.auth.jwks": "a key that is none is left out",
    "entrypoints.http.server.exchanges": "a mistake of an application, as ASGI has it",
    "entrypoints.http.auth.tokens": "before the service starts",
    "entrypoints.setting_values": "the settings say what is wrong with a value",
}
OF_THE_CONSOLE = "entrypoints.cli."


def modules() -> Iterator[ModuleType]:
    for package in (domain, adapters, entrypoints):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            yield import_module(found.name)


MODULES = list(modules())


def short_name(module: str) -> str:
    return module.removeprefix("chatkeep.")


def full_name(kind: type) -> str:
    return f"{short_name(kind.__module__)}.{kind.__qualname__}"


EXCEPTIONS = {
    full_name(kind): kind
    for module in MODULES
    for kind in vars(module).values()
    if isinstance(kind, type)
    and issubclass(kind, BaseException)
    and kind.__module__ == module.__name__
}
ANSWERED = [kind for name, kind in EXCEPTIONS.items() if name not in NEVER_ANSWERED]
HANDLERS = cast("dict[type[Exception], Any]", EXCEPTION_HANDLERS)
OPENAI_HANDLERS = cast("dict[type[Exception], Any]", answer_like_openai(EXCEPTION_HANDLERS))
DOCUMENTED = {problem.problem().type for problem in PROBLEMS}
SAMPLES: dict[Any, object] = {
    UUID: uuid4(),
    str: "some_text",
    int: 400,
    int | None: 400,
    Sequence[UUID]: [uuid4()],
}


class Request:
    """As much of a request as handlers look at."""

    method = "GET"

    def __init__(self, path: str) -> None:
        self.scope = {"path": path, "path_template": path}


def sample(kind: type[BaseException]) -> BaseException:
    """Return an exception of that kind, made as its first parent that takes plain values is."""
    error = kind.__new__(kind)
    for parent in kind.__mro__:
        make = vars(parent).get("__init__")
        if make is None:
            continue
        wanted = [
            parameter
            for parameter in list(inspect.signature(make).parameters.values())[1:]
            if parameter.default is parameter.empty
        ]
        if all(parameter.annotation in SAMPLES for parameter in wanted):
            named = {
                p.name: "max_batch" if p.name == "limit_name" else SAMPLES[p.annotation]
                for p in wanted
            }
            make(error, **named)
            return error
    return error


@pytest.mark.parametrize("kind", ANSWERED)
def test_an_exception_is_answered_with_its_problem_type(kind: type[Exception]) -> None:
    handler = next(HANDLERS[each] for each in kind.__mro__ if each in HANDLERS)
    response: Response[Problem] = handler(Request("/v1"), sample(kind))

    assert response.content.status < 500 or response.content.status == 503
    assert response.content.type.startswith(TYPE_PREFIX)
    if issubclass(kind, ChatkeepError):  # the others bring their types
        assert response.content.type in DOCUMENTED


@pytest.mark.parametrize("kind", ANSWERED)
def test_an_exception_below_openai_has_a_type_and_a_code(kind: type[Exception]) -> None:
    handler = next(OPENAI_HANDLERS[each] for each in kind.__mro__ if each in OPENAI_HANDLERS)
    response: Response[Error] = handler(Request("/openai/v1/conversations"), sample(kind))

    assert response.content.error.type != "server_error" or response.status_code == 503
    assert response.content.error.code or response.status_code == 404


def test_only_exceptions_that_there_are_are_never_answered() -> None:
    assert NEVER_ANSWERED.keys() <= EXCEPTIONS.keys()


def test_only_named_modules_raise_exceptions_that_are_not_our_own() -> None:
    ours = {kind.__name__ for kind in EXCEPTIONS.values()}
    found = {
        short_name(module.__name__)
        for module in MODULES
        if not short_name(module.__name__).startswith(OF_THE_CONSOLE) and raised_in(module) - ours
    }

    assert found == NOT_OUR_OWN.keys()


def raised_in(module: ModuleType) -> set[str]:
    """Return the names of the classes that a module raises."""
    assert module.__file__ is not None
    names = set()
    for node in ast.walk(ast.parse(Path(module.__file__).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Raise) and node.exc is not None:
            raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            if isinstance(raised, ast.Name) and (
                raised.id in vars(builtins) or raised.id[0].isupper()
            ):
                names.add(raised.id)
            if isinstance(raised, ast.Attribute) and raised.attr[0].isupper():
                names.add(raised.attr)
    return names


def test_an_error_that_is_forgotten_is_found() -> None:
    class ForgottenError(ChatkeepError):
        """Nobody told `domain_problem` of it."""

    with pytest.raises(AssertionError):
        test_an_exception_is_answered_with_its_problem_type(ForgottenError)
