"""Statements: SQL with a name and named parameters, compiled when a module is imported.

    GET = Statement("users.get", "SELECT created_at FROM users WHERE id = :user_id")
    rows = await engine.fetch(GET, user_id=user_id)

A parameter is a colon and a name in lower case. It may appear any number of times, and Postgres
receives it once, as `$1`, `$2` and so on. Colons in string literals, quoted identifiers, comments
and dollar quotes are left alone, and so are casts (`::text`). Fragments that several statements
share are plain strings; only the whole statement is compiled. Array slices (`[1:2]`) cannot be
written.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from operator import itemgetter
from typing import Final

_TOKEN: Final = re.compile(
    r"""
      [eE]'(?:[^'\\]|''|\\.)*'
    | '(?:[^']|'')*'
    | "(?:[^"]|"")*"
    | \$(?P<tag>(?:[A-Za-z_][A-Za-z0-9_]*)?)\$.*?\$(?P=tag)\$
    | --[^\n]*
    | (?P<comment>/\*)
    | ::
    | (?<![\w\])]):(?P<name>[a-z_][a-z0-9_]*)(?!\w)
    | (?P<wrong>[eE]?'|["$:])
    | [^\W\d][\w$]*
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_MARK: Final = re.compile(r"/\*|\*/")
_WRONG: Final = {
    "'": "a string that does not end",
    '"': "a quoted identifier that does not end",
    "$": "a numbered parameter, or a dollar quote that does not end",
    ":": "a colon that is neither a cast nor a parameter (:name)",
}
_CONTEXT: Final = 30


class StatementError(ValueError):
    """A statement's text is wrong. Raised when its module is imported."""


class Statement:
    """`name` is for logs, traces and metrics; `sql` is the text that Postgres receives.

    `parameters` are the names of `$1`, `$2` and so on, in the order in which they first appear.
    `timeout` is in seconds; None is the usual one (`Timing.command`).
    """

    __slots__ = ("_count", "_pick", "name", "parameters", "sql", "timeout")

    def __init__(self, name: str, sql: str, *, timeout: float | None = None) -> None:
        """Raise `StatementError` when the text cannot be compiled."""
        self.name = name
        self.timeout = timeout
        self.sql, self.parameters = _compile(name, sql)
        self._count = len(self.parameters)
        self._pick = _picker(self.parameters)

    def bind(self, values: Mapping[str, object]) -> tuple[object, ...]:
        """Return the values in the order of `parameters`.

        Raises `TypeError` when one is missing, or when there is one that the statement does not
        have.
        """
        if len(values) == self._count:
            try:
                return self._pick(values)
            except KeyError:
                pass
        missing = ", ".join(each for each in self.parameters if each not in values)
        unknown = ", ".join(each for each in values if each not in self.parameters)
        raise TypeError(f"{self.name}: missing ({missing}), unknown ({unknown})")

    def __repr__(self) -> str:
        return f"Statement({self.name!r})"


def _picker(names: tuple[str, ...]) -> Callable[[Mapping[str, object]], tuple[object, ...]]:
    """Return what takes the values of these names from a mapping. It runs with every statement."""
    if not names:
        return lambda _: ()
    if len(names) == 1:
        [name] = names
        return lambda values: (values[name],)
    return itemgetter(*names)


def _compile(name: str, sql: str) -> tuple[str, tuple[str, ...]]:
    numbers: dict[str, int] = {}
    parts = []
    for part, parameter in _split(name, sql):
        parts.append(part)
        if parameter is not None:
            parts.append(f"${numbers.setdefault(parameter, len(numbers) + 1)}")
    return "".join(parts), tuple(numbers)


def _split(name: str, sql: str) -> Iterator[tuple[str, str | None]]:
    """Yield pieces of text, each with the parameter that follows it."""
    done = at = 0
    while found := _TOKEN.search(sql, at):
        at = found.end()
        if found["comment"]:
            at = _end_of_comment(name, sql, at)
        elif wrong := found["wrong"]:
            near = sql[max(0, found.start() - _CONTEXT) : at + _CONTEXT]
            raise StatementError(f"{name}: {_WRONG[wrong[-1]]}, near {near!r}")
        elif found["name"]:
            yield sql[done : found.start()], found["name"]
            done = at
    yield sql[done:], None


def _end_of_comment(name: str, sql: str, at: int) -> int:
    """Return where the comment that was opened before `at` ends. Comments nest in Postgres."""
    depth = 1
    while depth:
        mark = _COMMENT_MARK.search(sql, at)
        if mark is None:
            raise StatementError(f"{name}: a comment that does not end")
        depth += 1 if mark[0] == "/*" else -1
        at = mark.end()
    return at
