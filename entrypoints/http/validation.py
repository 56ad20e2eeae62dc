"""What the decoder says of a wrong value -> what its sender can act on."""

import re
from enum import StrEnum
from typing import Final

import msgspec

from chatkeep.domain.model import Order, Role, Status
from chatkeep.entrypoints.http.model_formats import Format

# A field of one of these names has this meaning wherever it stands.
_CHOICES: Final[dict[str, type[StrEnum]]] = {
    "role": Role,
    "status": Status,
    "order": Order,
    "format": Format,
}
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
_ABOUT_A_MEMBER: Final = re.compile(
    r"Object (?P<what>missing|contains)[ a-z]* field `(?P<name>.*)`$", re.DOTALL
)
_OF_ANOTHER_TYPE: Final = re.compile(r"Expected `(?P<wanted>[^`]*)`, got `(?P<given>[^`]*)`$")
_OUT_OF_BOUNDS: Final = re.compile(r"Expected `int` (?P<sign>[<>])= (?P<bound>-?\d+)$")


def invalid_body(
    error: msgspec.ValidationError,
    *,
    whole: str = "body",
    unknown: str = "is no field of this request; check its spelling",
) -> tuple[str, str]:
    """Return which field msgspec complains about, by its path in the body, and why.

    Within a field that takes any JSON the path ends at that field. `whole` is what the body is
    called, `unknown` what is said of a field that there is none of.
    """
    complaint = str(error)
    at = _AT.search(complaint)
    if at:
        complaint = complaint[: at.start()]
    field = at["path"] if at else "$"
    field = field.removeprefix("$").removeprefix(".").partition("[...]")[0]
    if member := _ABOUT_A_MEMBER.match(complaint):
        name = shorten(member["name"])
        field = f"{field}.{name}" if field else name
        missing = member["what"] == "missing"
        return field, "is missing" if missing else unknown
    return field or whole, _reason(field, complaint)


def shorten(text: str, most: int = MAX_NAME) -> str:
    """Return what a caller made up, no longer than an answer should repeat it."""
    return text if len(text) <= most else f"{text[:most]}..."


def invalid_parameter(name: str, complaint: str) -> tuple[str, str]:
    """Return which parameter Litestar complains about, or that the body is empty, and why."""
    if name == "data":
        return "body", "is empty; send a JSON object"
    # Whatever stands in a URL is a string, and never null: saying so would not help.
    reason = _reason(name, complaint).removesuffix(", not a string").removesuffix(" or null")
    return name, reason


def _reason(field: str, complaint: str) -> str:
    if choices := _CHOICES.get(field.rpartition(".")[2]):
        return f"must be one of {', '.join(choices)}"
    if types := _OF_ANOTHER_TYPE.match(complaint):
        return f"must be {_types(types['wanted'])}, not {_types(types['given'])}"
    if bounds := _OUT_OF_BOUNDS.match(complaint):
        return f"must be at {'most' if bounds['sign'] == '<' else 'least'} {bounds['bound']}"
    if complaint == "Invalid UUID":
        return "is not a UUID"
    if complaint.endswith("out of range"):
        return "holds a number that is out of range"
    return complaint


def _types(names: str) -> str:
    return " or ".join(_TYPES.get(name, name) for name in names.split(" | "))
