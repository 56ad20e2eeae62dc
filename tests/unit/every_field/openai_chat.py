"""A conversation in OpenAI's chat format with every field of requests, answers and fine-tuning.

`"*"` and `-1` stand for values that occur once.
"""

from typing import Any

ANY = "*"
N = -1
PARTS: list[Any] = [
    {"type": "text", "text": ANY},
    {"type": "image_url", "image_url": {"url": ANY, "detail": ANY}},
    {"type": "input_audio", "input_audio": {"data": ANY, "format": ANY}},
    {"type": "file", "file": {"file_data": ANY, "file_id": ANY, "filename": ANY}},
    {"type": "refusal", "refusal": ANY},
    {"type": "video_url", "video_url": {"url": ANY}},
    ANY,
]
ANNOTATION = {
    "type": "url_citation",
    "url_citation": {"start_index": N, "end_index": N, "title": ANY, "url": ANY},
}
FUNCTION = {"id": ANY, "type": "function", "function": {"name": ANY, "arguments": ANY}}
CUSTOM = {"id": ANY, "type": "custom", "custom": {"name": ANY, "input": ANY}}


def document() -> dict[str, Any]:
    return {
        "messages": [
            {"role": "developer", "content": ANY, "name": ANY},
            {"role": "system", "content": [{"type": "text", "text": ANY}], "name": ANY},
            {"role": "user", "content": PARTS, "name": ANY, "weight": N},
            {
                "role": "assistant",
                "content": ANY,
                "refusal": ANY,
                "name": ANY,
                "audio": {"id": ANY, "data": ANY, "transcript": ANY, "expires_at": N},
                "annotations": [ANNOTATION],
                "tool_calls": [FUNCTION, CUSTOM],
                "weight": N,
                "reasoning_content": ANY,
                "reasoning": ANY,
                "reasoning_details": [{"type": ANY, "text": ANY, "signature": ANY}],
                "prefix": True,
            },
            {"role": "tool", "tool_call_id": ANY, "content": ANY},
            {"role": "tool", "tool_call_id": ANY, "content": [{"type": "text", "text": ANY}]},
            {"role": "assistant", "content": None, "refusal": ANY},
            {"role": "assistant", "content": None, "audio": {"id": ANY, "transcript": ANY}},
            {
                "role": "assistant",
                "content": None,
                "function_call": {"name": "f", "arguments": ANY},
            },
            {"role": "function", "name": "f", "content": ANY},
            {"role": "assistant", "content": [{"type": "text", "text": ANY}, {"type": ANY}]},
        ],
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": ANY,
                    "description": ANY,
                    "parameters": {"type": ANY, "properties": {"q": {"type": ANY}}},
                    "strict": True,
                },
            },
            {
                "type": "custom",
                "custom": {
                    "name": ANY,
                    "description": ANY,
                    "format": {
                        "type": "grammar",
                        "grammar": {"definition": ANY, "syntax": ANY},
                    },
                },
            },
        ],
        "tool_choice": {"type": "function", "function": {"name": ANY}},
        "parallel_tool_calls": True,
        "functions": [{"name": ANY, "description": ANY, "parameters": {"type": ANY}}],
        "function_call": {"name": ANY},
        "model": ANY,
        "audio": {"format": ANY, "voice": ANY},
        "frequency_penalty": N,
        "logit_bias": {"50256": N},
        "logprobs": True,
        "max_completion_tokens": N,
        "max_tokens": N,
        "metadata": {"note": ANY},
        "modalities": [ANY],
        "n": N,
        "prediction": {"type": ANY, "content": ANY},
        "presence_penalty": N,
        "prompt_cache_key": ANY,
        "prompt_cache_retention": ANY,
        "reasoning_effort": ANY,
        "response_format": {
            "type": "json_schema",
            "json_schema": {
                "name": ANY,
                "description": ANY,
                "schema": {"type": ANY},
                "strict": True,
            },
        },
        "safety_identifier": ANY,
        "seed": N,
        "service_tier": ANY,
        "stop": [ANY],
        "store": True,
        "stream": True,
        "stream_options": {"include_usage": True, "include_obfuscation": True},
        "temperature": N,
        "top_logprobs": N,
        "top_p": N,
        "user": ANY,
        "verbosity": ANY,
        "web_search_options": {
            "search_context_size": ANY,
            "user_location": {"type": ANY, "approximate": {"city": ANY, "country": ANY}},
        },
        "id": ANY,
        "title": ANY,
        "created": N,
        "usage": {"prompt_tokens": N, "prompt_tokens_details": {"cached_tokens": N}},
        "input": {"messages": [{"role": ANY, "content": ANY}]},
        "preferred_output": [{"role": ANY, "content": ANY}],
    }
