"""Conversations in ShareGPT's format with every field of its site, and of data sets for training.

`"*"` and `-1` stand for values that occur once.
"""

from typing import Any

ANY = "*"
N = -1


def document() -> dict[str, Any]:
    return {
        "id": ANY,
        "title": ANY,
        "system": ANY,
        "conversations": [
            {"from": "system", "value": ANY},
            {"from": "human", "value": ANY, "text": ANY, "markdown": ANY, "weight": N},
            {"from": "gpt", "value": ANY, "loss": True, "score": N, "model": ANY},
            {"from": "function_call", "value": '{"name": "f", "arguments": {"q": 1}, "id": "x"}'},
            {"from": "observation", "value": ANY, "tool": ANY},
            {"from": "observation", "value": ANY},
            {"from": "tool_call", "value": ANY},
            {"from": "tool_response", "value": ANY},
            {"from": "user", "value": ANY},
            {"from": "chatgpt", "value": ANY},
        ],
        "tools": ANY,
        "images": [ANY],
        "videos": [ANY],
        "audios": [ANY],
        "chosen": {"from": "gpt", "value": ANY},
        "rejected": {"from": "gpt", "value": ANY},
        "kto_tag": True,
        "model": ANY,
        "source": ANY,
        "dataset": ANY,
        "language": ANY,
        "lang": ANY,
        "category": ANY,
        "score": N,
        "hash": ANY,
        "avatarUrl": ANY,
        "items": [{"from": "human", "value": ANY}],
        "idx": N,
    }


def with_roles() -> dict[str, Any]:
    call = {"id": ANY, "type": "function", "function": {"name": ANY, "arguments": ANY}}
    image = {"type": "image_url", "image_url": {"url": ANY}}
    return {
        "id": N,
        "conversations": [
            {"role": "system", "content": ANY},
            {"role": "human", "content": ANY, "note": ANY},
            {"role": "user", "content": [{"type": "text", "text": ANY}, image], "name": ANY},
            {"role": "assistant", "content": ANY, "tool_calls": [call], "reasoning_content": ANY},
            {"role": "tool", "content": ANY, "tool_call_id": ANY, "name": ANY},
            {"role": "assistant", "content": ANY},
        ],
        "tools": [{"type": ANY}],
    }
