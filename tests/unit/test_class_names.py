"""A public class has a name for itself, so that a name means the same in every module."""

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("domain", "adapters", "entrypoints", "testing")

_WIRE = "the name of the wire format in the OpenAPI document"
_TABLE = "the Piccolo table of what the port stores"
_OPENAI = "the OpenAPI document puts OpenAI before the names of entrypoints.openai"
ALLOWED = {
    "Appended": _WIRE,
    "ConversationPage": _WIRE,
    "NewMessage": _WIRE,
    "Conversations": _TABLE,
    "Users": _TABLE,
    "ConversationOut": _OPENAI,
    "CreateConversation": _OPENAI,
}
"""Why two modules have a public class with this name."""


def test_a_public_class_has_a_name_for_itself() -> None:
    modules = defaultdict(list)
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    modules[node.name].append(path.relative_to(ROOT).as_posix())
    assert modules
    shared = {name: paths for name, paths in modules.items() if len(paths) > 1}
    assert shared.keys() - ALLOWED.keys() == set(), shared
    assert ALLOWED.keys() - shared.keys() == set(), "no longer shared"
    assert all(len(paths) == 2 for paths in shared.values()), shared
