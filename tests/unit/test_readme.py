"""The README's table of settings says what the code does."""

import re
from pathlib import Path

import msgspec

from chatkeep.entrypoints.settings import Settings, variable

README = Path(__file__).parents[2] / "README.md"


def row(field: msgspec.inspect.Field) -> str:
    described = field.type
    assert isinstance(described, msgspec.inspect.Metadata)
    assert described.extra_json_schema is not None
    default = field.default
    shown = "" if default in ("", ()) else f"`{str(default).lower()}`"
    return f"| `{variable(field.name)}` | {shown} | {described.extra_json_schema['description']} |"


def test_the_readme_lists_every_setting_as_it_is() -> None:
    described = msgspec.inspect.type_info(Settings)
    assert isinstance(described, msgspec.inspect.StructType)
    expected = [row(field) for field in described.fields]

    rows = re.findall(r"^\| `(?:CHATKEEP|DATABASE)_.*$", README.read_text(), re.MULTILINE)
    assert rows == expected
