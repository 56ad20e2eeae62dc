"""The types of OpenAI's items: the prefixes of their ids, and the members that they require.

OpenAI adds required members to an item that lacks them, if their value is obvious: a call is
completed, a list is empty, an image has the usual detail. A member that may be null becomes null.
"""

from collections.abc import Mapping
from typing import Final

from chatkeep.domain.json_sources import Members, members, parts, value_of, write

PREFIXES: Final = {
    "message": "msg",
    "function_call": "fc",
    "function_call_output": "fco",
    "additional_tools": "at",
    "apply_patch_call": "apc",
    "apply_patch_call_output": "apco",
    "code_interpreter_call": "ci",
    "compaction": "cmp",
    "computer_call": "cu",
    "computer_call_output": "cuo",
    "custom_tool_call": "ctc",
    "custom_tool_call_output": "ctco",
    "file_search_call": "fs",
    "image_generation_call": "ig",
    "local_shell_call": "lsh",
    "local_shell_call_output": "lsho",
    "mcp_approval_request": "mcpr",
    "mcp_approval_response": "mcpa",
    "mcp_call": "mcp",
    "mcp_list_tools": "mcpl",
    "program": "prg",
    "program_output": "prgo",
    "reasoning": "rs",
    "shell_call": "sh",
    "shell_call_output": "sho",
    "tool_search_call": "tsc",
    "tool_search_output": "tso",
    "web_search_call": "ws",
}
_COMPLETED: Final = {"status": '"completed"'}
_OF_TOOL_SEARCH: Final = {"call_id": "null", **_COMPLETED}
_OF_KINDS: Final[Mapping[str, Mapping[str, str]]] = {
    "apply_patch_call": _COMPLETED,
    "code_interpreter_call": {"code": "null", "outputs": "null", **_COMPLETED},
    "computer_call": {"pending_safety_checks": "[]", **_COMPLETED},
    "computer_call_output": _COMPLETED,
    "file_search_call": _COMPLETED,
    "image_generation_call": {"result": "null", **_COMPLETED},
    "local_shell_call": _COMPLETED,
    "program_output": _COMPLETED,
    "shell_call": {"environment": "null", **_COMPLETED},
    "shell_call_output": {"max_output_length": "null", **_COMPLETED},
    "tool_search_call": _OF_TOOL_SEARCH,
    "tool_search_output": _OF_TOOL_SEARCH,
    "web_search_call": _COMPLETED,
}
_OF_ACTIONS: Final = {"timeout_ms": "null", "max_output_length": "null"}
_OF_PARTS: Final[Mapping[object, Mapping[str, str]]] = {
    "computer_screenshot": {"image_url": "null", "file_id": "null", "detail": '"auto"'},
    "input_image": {"detail": '"auto"'},
    "output_text": {"annotations": "[]", "logprobs": "[]"},
}
_WITH_PARTS: Final = {
    "message": "content",
    "function_call_output": "output",
    "custom_tool_call_output": "output",
}


def complete(kind: str, item: Members) -> dict[str, str]:
    """Return the members to add to an item of that kind, or to replace, as texts."""
    found = _find_missing(item, _OF_KINDS.get(kind, {}))
    if kind in {"tool_search_call", "tool_search_output"} and value_of(item, "execution") is None:
        # A call that the server runs itself has no call id.
        by_server = value_of(item, "call_id") is None
        found["execution"] = '"server"' if by_server else '"client"'
    if kind == "shell_call" and isinstance(value_of(item, "action"), dict):
        action = members(item["action"].text) or {}
        if missing := _find_missing(action, _OF_ACTIONS):
            found["action"] = write(action, missing)
    if key := _WITH_PARTS.get(kind):
        content = value_of(item, key)
        if isinstance(content, list) and any(map(_is_incomplete, content)):
            found[key] = f"[{','.join(_part(*each) for each in parts(item[key].text))}]"
    return found


def _find_missing(item: Members, required: Mapping[str, str]) -> dict[str, str]:
    """Return the missing required members. Null counts as missing unless the member is nullable."""
    return {
        key: source
        for key, source in required.items()
        if value_of(item, key) is None and not (source == "null" and key in item)
    }


def _is_incomplete(part: object) -> bool:
    return isinstance(part, dict) and any(
        part.get(key) is None and not (source == "null" and key in part)
        for key, source in _find_required(part).items()
    )


def _part(part: object, source: str) -> str:
    if not isinstance(part, dict) or not _is_incomplete(part):
        return source
    found = members(source) or {}
    return write(found, _find_missing(found, _find_required(part)))


def _find_required(part: Mapping[object, object]) -> Mapping[str, str]:
    kind = part.get("type")
    return _OF_PARTS.get(kind, {}) if isinstance(kind, str) else {}
