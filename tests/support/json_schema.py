"""Checks values against the part of JSON Schema 2020-12 that our documents use."""

import re
from collections.abc import Callable, Iterator
from datetime import date, datetime
from typing import Any
from uuid import UUID

Json = Any
JsonObject = dict[str, Json]

_TYPES: dict[str, Callable[[Json], bool]] = {
    "array": lambda value: isinstance(value, list),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "null": lambda value: value is None,
    "object": lambda value: isinstance(value, dict),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "string": lambda value: isinstance(value, str),
}
_FORMATS: dict[str, Callable[[str], bool]] = {
    "uuid": lambda text: str(UUID(text)) == text.lower(),
    "date": lambda text: bool(date.fromisoformat(text)),
    "date-time": lambda text: datetime.fromisoformat(text).tzinfo is not None,
}
# Each takes the value and what the schema says; a keyword passes over values it is not about.
_ASSERTIONS: dict[str, Callable[[Json, Json], bool]] = {
    "const": lambda value, wanted: value == wanted,
    "enum": lambda value, wanted: value in wanted,
    "format": lambda value, wanted: not isinstance(value, str) or _FORMATS[wanted](value),
    "maximum": lambda value, wanted: not isinstance(value, int) or value <= wanted,
    "maxItems": lambda value, wanted: not isinstance(value, list) or len(value) <= wanted,
    "maxLength": lambda value, wanted: not isinstance(value, str) or len(value) <= wanted,
    "minimum": lambda value, wanted: not isinstance(value, int) or value >= wanted,
    "minItems": lambda value, wanted: not isinstance(value, list) or len(value) >= wanted,
    "pattern": lambda value, wanted: not isinstance(value, str) or bool(re.search(wanted, value)),
    "minLength": lambda value, wanted: not isinstance(value, str) or len(value) >= wanted,
    "required": lambda value, wanted: not isinstance(value, dict) or set(wanted) <= value.keys(),
    "type": lambda value, wanted: any(
        _TYPES[name](value) for name in ([wanted] if isinstance(wanted, str) else wanted)
    ),
}
_ANNOTATIONS = frozenset({"default", "description", "discriminator", "examples", "title"})


def faults(value: Json, schema: JsonObject, document: JsonObject, at: str = "$") -> Iterator[str]:
    """Yield what is wrong with `value` according to `schema`, a part of `document`.

    A schema with an unknown keyword is a fault for every value.
    """
    for keyword, wanted in schema.items():
        if assertion := _ASSERTIONS.get(keyword):
            if not _holds(assertion, value, wanted):
                yield f"{at} is {str(value)[:80]!r}, not of {keyword} {wanted}"
        elif applied := _APPLICATORS.get(keyword):
            yield from applied(value, schema, document, at)
        elif keyword not in _ANNOTATIONS:
            yield f"{at}: unknown keyword {keyword}"


def is_valid(value: Json, schema: JsonObject, document: JsonObject) -> bool:
    return not list(faults(value, schema, document))


def resolved(schema: JsonObject, document: JsonObject) -> JsonObject:
    """Follow a `$ref` into the document."""
    while "$ref" in schema:
        start, *path = schema["$ref"].split("/")
        assert start == "#"
        schema = document
        for step in path:
            schema = schema[step]
    return schema


def _holds(assertion: Callable[[Json, Json], bool], value: Json, wanted: Json) -> bool:
    try:
        return assertion(value, wanted)
    except ValueError:  # not a UUID, not a date
        return False


def _ref(value: Json, schema: JsonObject, document: JsonObject, at: str) -> Iterator[str]:
    yield from faults(value, resolved(schema, document), document, at)


def _any_of(value: Json, schema: JsonObject, document: JsonObject, at: str) -> Iterator[str]:
    if not any(is_valid(value, each, document) for each in schema["anyOf"]):
        yield f"{at} is none of anyOf"


def _one_of(value: Json, schema: JsonObject, document: JsonObject, at: str) -> Iterator[str]:
    if (found := sum(is_valid(value, each, document) for each in schema["oneOf"])) != 1:
        yield f"{at} is {found} of oneOf"


def _not(value: Json, schema: JsonObject, document: JsonObject, at: str) -> Iterator[str]:
    if is_valid(value, schema["not"], document):
        yield f"{at} is what it must not be"


def _items(value: Json, schema: JsonObject, document: JsonObject, at: str) -> Iterator[str]:
    if isinstance(value, list):
        for index, each in enumerate(value):
            yield from faults(each, schema["items"], document, f"{at}[{index}]")


def _members(value: Json, schema: JsonObject, document: JsonObject, at: str) -> Iterator[str]:
    if not isinstance(value, dict):
        return
    properties = schema.get("properties", {})
    others = schema.get("additionalProperties", {})
    for name, each in value.items():
        wanted = properties.get(name, others)
        if wanted is False:
            yield f"{at} has an undocumented {name}"
        else:
            yield from faults(each, wanted, document, f"{at}.{name}")


_APPLICATORS: dict[str, Callable[[Json, JsonObject, JsonObject, str], Iterator[str]]] = {
    "$ref": _ref,
    "additionalProperties": _members,
    "anyOf": _any_of,
    "items": _items,
    "not": _not,
    "oneOf": _one_of,
    "properties": _members,
}
