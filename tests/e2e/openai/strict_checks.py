"""What comes back of each kind of item has all that the package's own types require."""

import json
from typing import Any

import openai
from openai.types.conversations import ConversationItem
from pydantic import TypeAdapter

from checks import ALICE, API, now, run

IMAGE = {"type": "input_image", "image_url": "https://example.com/a.png"}
# Each as the package's types let it be sent: what they do not require is left out.
ITEMS: list[dict[str, Any]] = [
    {"role": "user", "content": "Look"},
    {"role": "user", "content": [IMAGE]},
    {"role": "assistant", "content": [{"type": "output_text", "text": "I see."}]},
    {"type": "function_call", "call_id": "f", "name": "f", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "f", "output": [IMAGE]},
    {"type": "custom_tool_call", "call_id": "c", "name": "c", "input": ""},
    {"type": "custom_tool_call_output", "call_id": "c", "output": [IMAGE]},
    {
        "type": "computer_call",
        "id": "cu_1",
        "call_id": "u",
        "action": {"type": "screenshot"},
        "pending_safety_checks": [],
    },
    {
        "type": "computer_call_output",
        "call_id": "u",
        "output": {"type": "computer_screenshot", "image_url": "https://example.com/a.png"},
    },
    {"type": "shell_call", "call_id": "s", "action": {"commands": ["ls"]}},
    {
        "type": "shell_call_output",
        "call_id": "s",
        "output": [{"stdout": "", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}],
    },
    {"type": "tool_search_call", "arguments": {}},
    {"type": "tool_search_output", "tools": []},
    {
        "type": "apply_patch_call",
        "call_id": "p",
        "operation": {"type": "delete_file", "path": "a"},
        "status": "completed",
    },
    {"type": "apply_patch_call_output", "call_id": "p", "status": "failed"},
    {
        "type": "local_shell_call",
        "id": "lsh_1",
        "call_id": "l",
        "action": {"type": "exec", "command": ["ls"], "env": {}},
        "status": "completed",
    },
    {"type": "reasoning", "id": "rs_1", "summary": []},
    {"type": "compaction", "encrypted_content": "x"},
    {"type": "mcp_approval_response", "approval_request_id": "m", "approve": True},
]


async def check_every_item_is_whole(client: Any) -> None:
    made = await now(client.conversations.create())
    raw = client.conversations.items.with_raw_response.create(made.id, items=ITEMS)
    stored = json.loads((await now(raw)).http_response.text)["data"]
    assert len(stored) == len(ITEMS)
    for item in stored:
        TypeAdapter[Any](ConversationItem).validate_python(item)


async def check_an_item_is_referred_to_by_its_id_alone(client: Any) -> None:
    made = await now(client.conversations.create())
    added = client.conversations.items.with_raw_response.create(made.id, items=[{"id": "msg_1"}])
    [item] = json.loads((await now(added)).http_response.text)["data"]
    assert item == {"type": "item_reference", "id": "msg_1"}


if __name__ == "__main__":
    options: dict[str, Any] = {"base_url": API, "api_key": ALICE, "max_retries": 0}
    run(globals(), {"async": (openai.AsyncOpenAI(**options),)})
