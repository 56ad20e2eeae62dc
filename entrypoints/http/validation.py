"""Translates the decoder's errors into messages that help the caller."""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import msgspec

from chatkeep.domain.finding import Sort
from chatkeep.domain.formats.table import Format
from chatkeep.domain.model import Order, Role, Status

# A field with one of these names has this type in every body and query; `format` only in a query.
_CHOICES: Final[dict[str, type[StrEnum]]] = {
    "role": Role,
    "status": Status,
    "order": Order,
    "sort": Sort,
}
_CHOICES_OF_PARAMETERS: Final[dict[str, type[StrEnum]]] = {**_CHOICES, "format": Format}
_TYPES: Final = {
    "array": "an array",
    "bool": "a boolean",
    "float": "a number",
    "int": "an integer",
    "object": "an object",
    "str": "a string",
    "uuid": "a UUID",
}
MAX_NAME: Final = 100
_AT: Final = re.compile(r" - at `(?P<path>[^`]*)`$")
_WRONG_MEMBER: Final = re.compile(
    r"Object (?P<what>missing|contains)[ a-z]* field `(?P<name>.*)`$", re.DOTALL
)
_WRONG_TYPE: Final = re.compile(r"Expected `(?P<expected>[^`]*)`, got `(?P<actual>[^`]*)`$")
_OUT_OF_BOUNDS: Final = re.compile(r"Expected `int` (?P<sign>[<>])= (?P<bound>-?\d+)$")


def explain_body_error(
    error: msgspec.ValidationError,
    *,
    whole: str = "body",
    unknown: str = "unknown field",
) -> tuple[str, str]:
    """Return the path of the field that msgspec refuses, and the reason.

    Within a field that takes any JSON the path ends at that field. `whole` is the name for the body
    itself, `unknown` the reason for an unknown field.
    """
    message = str(error)
    at = _AT.search(message)
    if at:
        message = message[: at.start()]
    field = at["path"] if at else "$"
    field = field.removeprefix("$").removeprefix(".").partition("[...]")[0]
    if member := _WRONG_MEMBER.match(message):
        name = shorten(member["name"])
        field = f"{field}.{name}" if field else name
        missing = member["what"] == "missing"
        return field, "is missing" if missing else unknown
    return field or whole, _explain(field, message)


def shorten(text: str, max_chars: int = MAX_NAME) -> str:
    """Return a text from a caller, cut to at most `max_chars` characters and an ellipsis."""
    return text if len(text) <= max_chars else f"{text[:max_chars]}..."


def explain_parameter_error(name: str, message: str) -> tuple[str, str]:
    """Return the parameter that Litestar refuses, and the reason; "body" for an empty body."""
    if name == "data":
        return "body", "is empty; send a JSON object"
    # Values in a URL are always strings and never null: saying so would not help.
    reason = _explain(name, message, _CHOICES_OF_PARAMETERS)
    reason = reason.removesuffix(", not a string").removesuffix(" or null")
    return name, reason


def _explain(field: str, message: str, choices_of: Mapping[str, type[StrEnum]] = _CHOICES) -> str:
    if choices := choices_of.get(field.rpartition(".")[2]):
        return f"must be one of {', '.join(choices)}"
    if types := _WRONG_TYPE.match(message):
        return f"must be {_name_types(types['expected'])}, not {_name_types(types['actual'])}"
    if bounds := _OUT_OF_BOUNDS.match(message):
        return f"must be at {'most' if bounds['sign'] == '<' else 'least'} {bounds['bound']}"
    if message == "Invalid UUID":
        return "is not a UUID"
    if message.endswith("out of range"):
        return "contains a number that is out of range"
    return message


def _name_types(names: str) -> str:
    return " or ".join(_TYPES.get(name, name) for name in names.split(" | "))
