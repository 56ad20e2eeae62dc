"""No regular expression of the product takes more than linear time, whatever it is given."""

import importlib
import json
import pkgutil
import re
from collections.abc import Iterator
from time import thread_time
from types import ModuleType
from typing import Any

import pytest

from chatkeep import adapters, domain, entrypoints
from tests.support.service_process import FULL, some

# What repetitions run over, and what makes them fail in the end and be tried again further on.
PIECES = (
    *("1", "a", "A", " ", "\n", "_", "-", ":", ",", ".", "`", "*", "[", "(", '"', "\\", '\\"'),
    *('"a",', "1.", "1e", "1.1", "- ", "a.", "a:", "[]", "()", " on ", "ON (", " - at `a", "::int"),
    *("CREATE INDEX a ON ", "CREATE STATISTICS a ON a FROM ", "Expected `a`, got ", "\\u0041"),
)
BEGINNINGS = ("", '"', "-1", "[", "Object contains unknown field `", "postgres://")
# Given nothing but well-formed JSON: every text in it has its end.
JSON_ONLY = {
    "adapters.piccolo.rows._STRING",
    "domain.operations.adoption.json_columns._STRING",
    "domain.json_fields._STRING_OR_EXPONENTIAL",
    "domain.json_merge._STRING_OR_SPACE",
    "domain.json_values._SOME",
    "domain.json_values._STRING",
}
# Never given what a caller wrote.
OTHERS_DO_NOT_WRITE_IT = {
    "adapters.database_url": "the operator's own setting",
    "entrypoints.setting_values": "the operator's own settings",
    "entrypoints.settings": "names of the operator's own settings",
    "adapters.operator.doctor.catalogue": "definitions, as Postgres writes them",
    "adapters.piccolo.statement": "our own statements",
}
USED_OTHERWISE = {
    "entrypoints.formats.json_stream._TOKEN": "looks no further after a quote without an end",
}
SHORT, LONG = (500, 4_000) if FULL else (250, 2_000)


def modules() -> Iterator[ModuleType]:
    for package in (domain, adapters, entrypoints):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not found.name.endswith("__main__"):
                yield importlib.import_module(found.name)


def patterns() -> dict[str, re.Pattern[Any]]:
    return {
        f"{module.__name__.removeprefix('chatkeep.')}.{name}": value
        for module in modules()
        for name, value in vars(module).items()
        if isinstance(value, re.Pattern)
    }


PATTERNS = patterns()
TRIED = [
    name
    for name in PATTERNS
    if name.rpartition(".")[0] not in OTHERS_DO_NOT_WRITE_IT and name not in USED_OTHERWISE
]


def texts(name: str) -> Iterator[tuple[str, str]]:
    """Yield pairs of a short text and one that is eight times as long, of the same kind."""
    for piece in PIECES:
        for beginning in BEGINNINGS:
            short = beginning + piece * (SHORT // len(piece))
            long = beginning + piece * (LONG // len(piece))
            if name in JSON_ONLY:
                yield json.dumps({"a": short}), json.dumps({"a": long})
            else:
                yield short, long
    for number in ("1%s", "-1%s", "1.%s", "1%s.5", "1%se5", "1e%s", "1.%se-5"):
        yield f"[{number % ('1' * SHORT)}]", f"[{number % ('1' * LONG)}]"


def seconds(pattern: re.Pattern[Any], text: str) -> float:
    """Return how long it takes to look for all matches: no other use of a pattern takes longer."""
    given: Any = text if isinstance(pattern.pattern, str) else text.encode()
    best = 1.0
    for _ in range(3):
        started = thread_time()
        for _match in pattern.finditer(given):
            pass
        pattern.fullmatch(given)
        best = min(best, thread_time() - started)
    return best


def test_the_exceptions_are_there() -> None:
    assert len(TRIED) > 20
    assert PATTERNS.keys() >= JSON_ONLY | USED_OTHERWISE.keys()
    assert {name.rpartition(".")[0] for name in PATTERNS} >= OTHERS_DO_NOT_WRITE_IT.keys()


@pytest.mark.parametrize("name", some(TRIED, every=3))
def test_a_text_eight_times_as_long_takes_about_eight_times_as_long(name: str) -> None:
    pattern = PATTERNS[name]
    for short, long in texts(name):
        took = seconds(pattern, long)
        # What takes linear time is done with this much in less than a millisecond.
        if took > 0.002:
            assert took < 24 * seconds(pattern, short), (name, long[:60])


def test_no_pattern_is_possessive() -> None:
    """Python 3.11.0 to 3.11.4 match possessive groups wrongly, so that texts would be cut amiss."""
    escape, letters, possessive = r"\\.", r"\[\]?[^]]*\]", re.compile(r"[*+?}]\+|\(\?>")
    found = {}
    for name, pattern in PATTERNS.items():
        text = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode()
        plain = re.sub(letters, "a", re.sub(escape, "a", text, flags=re.DOTALL))
        if possessive.search(plain):
            found[name] = text

    assert found == {}
    assert possessive.search("a*+")
    assert possessive.search("(?>a)")
