"""JSON merge patches (RFC 7396), applied to texts, so that every number stays as it is written."""

import json
import re
from typing import Final

from chatkeep.domain.json_values import members
from chatkeep.domain.model import JsonText

_STRING_OR_SPACE: Final = re.compile(r'("[^"\\]*(?:\\.[^"\\]*)*")|[ \t\n\r]+')
_NULL: Final = "null"


def merge_patch(document: JsonText, patch: JsonText) -> JsonText:
    """Return the document with a patch applied, compact.

    A member of the patch replaces that of the document, null removes it, and objects are merged.
    """
    return JsonText(_merge(compact_json(document), compact_json(patch)))


def compact_json(document: JsonText) -> JsonText:
    """Return the document without white space between its parts."""
    return JsonText(_STRING_OR_SPACE.sub(lambda found: found[1] or "", document))


def _merge(target: str, patch: str) -> str:
    if not patch.startswith("{"):
        return patch
    merged = dict(members(target)) if target.startswith("{") else {}
    for name, value in members(patch):
        if value == _NULL:
            merged.pop(name, None)
        else:
            merged[name] = _merge(merged.get(name, ""), value)
    written = (f"{json.dumps(name, ensure_ascii=False)}:{value}" for name, value in merged.items())
    return f"{{{','.join(written)}}}"
