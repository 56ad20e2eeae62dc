"""A conversation in the format of Anthropic's API with every block, and every field of requests.

`"*"` and `-1` stand for values that occur once.
"""

from typing import Any

ANY = "*"
N = -1
CACHE = {"cache_control": {"type": "ephemeral", "ttl": ANY}}
CALLER = {"caller": {"type": "code_execution_20250825", "tool_id": ANY}}
CITATIONS: list[dict[str, Any]] = [
    {
        "type": "char_location",
        "cited_text": ANY,
        "document_index": N,
        "document_title": ANY,
        "file_id": ANY,
        "start_char_index": N,
        "end_char_index": N,
    },
    {
        "type": "page_location",
        "cited_text": ANY,
        "document_index": N,
        "document_title": ANY,
        "start_page_number": N,
        "end_page_number": N,
    },
    {
        "type": "content_block_location",
        "cited_text": ANY,
        "document_index": N,
        "document_title": ANY,
        "start_block_index": N,
        "end_block_index": N,
    },
    {
        "type": "web_search_result_location",
        "cited_text": ANY,
        "url": ANY,
        "title": ANY,
        "encrypted_index": ANY,
    },
    {
        "type": "search_result_location",
        "cited_text": ANY,
        "source": ANY,
        "title": ANY,
        "search_result_index": N,
        "start_block_index": N,
        "end_block_index": N,
    },
]
TEXT: dict[str, Any] = {"type": "text", "text": ANY, "citations": CITATIONS, **CACHE}
IMAGES: list[dict[str, Any]] = [
    {
        "type": "image",
        "source": {"type": "base64", "media_type": ANY, "data": ANY},
        **CACHE,
    },
    {"type": "image", "source": {"type": "url", "url": ANY}},
    {"type": "image", "source": {"type": "file", "file_id": ANY}},
]
DOCUMENTS: list[dict[str, Any]] = [
    {
        "type": "document",
        "source": source,
        "title": ANY,
        "context": ANY,
        "citations": {"enabled": True},
        **CACHE,
    }
    for source in (
        {"type": "base64", "media_type": ANY, "data": ANY},
        {"type": "text", "media_type": ANY, "data": ANY},
        {"type": "content", "content": [{"type": "text", "text": ANY}]},
        {"type": "url", "url": ANY},
        {"type": "file", "file_id": ANY},
    )
]
FOUND = {
    "type": "search_result",
    "source": ANY,
    "title": ANY,
    "content": [{"type": "text", "text": ANY}],
    "citations": {"enabled": True},
    **CACHE,
}
RAN = {"stdout": ANY, "stderr": ANY, "return_code": N}
OF_SERVERS: list[dict[str, Any]] = [
    {
        "type": "server_tool_use",
        "id": ANY,
        "name": ANY,
        "input": {"query": ANY},
        **CALLER,
        **CACHE,
    },
    {
        "type": "web_search_tool_result",
        "tool_use_id": ANY,
        "content": [
            {
                "type": "web_search_result",
                "url": ANY,
                "title": ANY,
                "encrypted_content": ANY,
                "page_age": ANY,
            }
        ],
        **CALLER,
    },
    {
        "type": "web_search_tool_result",
        "tool_use_id": ANY,
        "content": {"type": "web_search_tool_result_error", "error_code": ANY},
    },
    {
        "type": "web_fetch_tool_result",
        "tool_use_id": ANY,
        "content": {
            "type": "web_fetch_result",
            "url": ANY,
            "retrieved_at": ANY,
            "content": {
                "type": "document",
                "source": {"type": "text", "media_type": ANY, "data": ANY},
                "title": ANY,
            },
        },
    },
    {
        "type": "code_execution_tool_result",
        "tool_use_id": ANY,
        "content": {
            "type": "code_execution_result",
            "content": [{"type": "code_execution_output", "file_id": ANY}],
            **RAN,
        },
    },
    {
        "type": "bash_code_execution_tool_result",
        "tool_use_id": ANY,
        "content": {
            "type": "bash_code_execution_result",
            "content": [{"type": "bash_code_execution_output", "file_id": ANY}],
            **RAN,
        },
    },
    {
        "type": "text_editor_code_execution_tool_result",
        "tool_use_id": ANY,
        "content": {
            "type": "text_editor_code_execution_view_result",
            "file_type": ANY,
            "content": ANY,
            "num_lines": N,
            "start_line": N,
            "total_lines": N,
        },
    },
    {
        "type": "tool_search_tool_result",
        "tool_use_id": ANY,
        "content": {
            "type": "tool_search_tool_search_result",
            "tool_references": [{"type": "tool_reference", "tool_name": ANY}],
        },
    },
    {
        "type": "mcp_tool_use",
        "id": ANY,
        "name": ANY,
        "server_name": ANY,
        "input": {"q": ANY},
    },
    {
        "type": "mcp_tool_result",
        "tool_use_id": ANY,
        "is_error": True,
        "content": [{"type": "text", "text": ANY}],
    },
    {"type": "compaction", "content": ANY},
    {"type": "container_upload", "file_id": ANY, **CACHE},
]


def document() -> dict[str, Any]:
    return {
        "model": ANY,
        "system": [{"type": "text", "text": ANY, **CACHE}],
        "messages": [
            {"role": "user", "content": ANY},
            {
                "role": "user",
                "content": [TEXT, *IMAGES, *DOCUMENTS, FOUND, OF_SERVERS[-1]],
                "of_tomorrow": ANY,
            },
            {
                "role": "assistant",
                "id": ANY,
                "model": ANY,
                "type": ANY,
                "stop_reason": ANY,
                "stop_sequence": ANY,
                "stop_details": {"type": ANY, "category": ANY},
                "container": {"id": ANY, "expires_at": ANY},
                "usage": {"input_tokens": N, "server_tool_use": {"web_search_requests": N}},
                "context_management": {"applied_edits": [{"type": ANY, "cleared_tool_uses": N}]},
                "content": [
                    {"type": "thinking", "thinking": ANY, "signature": ANY},
                    {"type": "redacted_thinking", "data": ANY},
                    TEXT,
                    *OF_SERVERS[:-1],
                    {
                        "type": "tool_use",
                        "id": "toolu_1",
                        "name": ANY,
                        "input": {"q": ANY, "n": N},
                        **CALLER,
                        **CACHE,
                    },
                    {"type": "tool_use", "id": "toolu_2", "name": ANY, "input": {}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "toolu_1",
                        "is_error": True,
                        "content": [
                            {"type": "text", "text": ANY},
                            IMAGES[0],
                            DOCUMENTS[0],
                            FOUND,
                            {"type": "tool_reference", "tool_name": ANY},
                        ],
                        **CACHE,
                    },
                    {"type": "tool_result", "tool_use_id": "toolu_2", "content": ANY},
                    {"type": "text", "text": ANY},
                ],
            },
        ],
        "max_tokens": N,
        "metadata": {"user_id": ANY},
        "stop_sequences": [ANY],
        "stream": True,
        "temperature": N,
        "top_k": N,
        "top_p": N,
        "thinking": {"type": ANY, "budget_tokens": N},
        "output_config": {"effort": ANY, "format": {"type": ANY, "schema": {"type": ANY}}},
        "tool_choice": {"type": ANY, "name": ANY, "disable_parallel_tool_use": True},
        "tools": [
            {
                "type": ANY,
                "name": ANY,
                "description": ANY,
                "input_schema": {"type": ANY, "properties": {"q": {"type": ANY}}},
                "strict": True,
                "defer_loading": True,
                "allowed_callers": [ANY],
                "input_examples": [{"q": ANY}],
                "max_uses": N,
                "allowed_domains": [ANY],
                **CACHE,
            }
        ],
        "service_tier": ANY,
        "container": {"id": ANY, "skills": [{"type": ANY, "skill_id": ANY, "version": ANY}]},
        "mcp_servers": [{"type": ANY, "url": ANY, "name": ANY, "authorization_token": ANY}],
        "context_management": {"edits": [{"type": ANY, "trigger": {"type": ANY, "value": N}}]},
        "inference_geo": ANY,
        "anthropic_version": ANY,
        "anthropic_beta": [ANY],
    }
