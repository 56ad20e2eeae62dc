"""A conversation of Claude.ai's data export with every field that exports are known to have.

`"*"` and `-1` stand for values that occur once.
"""

from typing import Any

ANY = "*"
N = -1
TIMES = {"start_timestamp": ANY, "stop_timestamp": ANY, "flags": [ANY]}
HELPLINE = {"name": ANY, "phone_number": ANY, "url": ANY}
OF_TOOLS: dict[str, Any] = {
    "message": ANY,
    "integration_name": ANY,
    "integration_icon_url": ANY,
    "icon_name": ANY,
    "display_content": {"type": "json_block", "json_block": ANY, "text": ANY, "table": [[ANY]]},
    "hidden_in_chat": True,
    "mcp_server_url": ANY,
}
BLOCKS: list[dict[str, Any]] = [
    {
        **TIMES,
        "type": "thinking",
        "thinking": ANY,
        "signature": ANY,
        "summaries": [{"summary": ANY}],
        "cut_off": True,
        "truncated": True,
        "alternative_display_type": ANY,
    },
    {
        **TIMES,
        "type": "text",
        "text": ANY,
        "citations_grouping_mode": ANY,
        "citations": [
            {
                "uuid": ANY,
                "start_index": N,
                "end_index": N,
                "url": ANY,
                "title": ANY,
                "origin_tool_name": ANY,
                "details": {"type": "web_search_citation", "url": ANY},
                "metadata": {"type": "webpage_metadata", "site_domain": ANY, "site_name": ANY},
                "sources": [{"title": ANY, "url": ANY, "icon_url": ANY}],
            }
        ],
    },
    {
        **TIMES,
        **OF_TOOLS,
        "type": "tool_use",
        "id": "toolu_1",
        "name": ANY,
        "input": {"query": ANY, "limit": N},
        "context": ANY,
        "tool_identifier": ANY,
        "approval_options": [ANY],
        "approval_key": ANY,
        "approval_key_legacy": ANY,
        "is_mcp_app": True,
        "partial_json": ANY,
    },
    {
        **TIMES,
        **OF_TOOLS,
        "type": "tool_result",
        "tool_use_id": "toolu_1",
        "name": ANY,
        "is_error": True,
        "structured_content": {"found": ANY},
        "meta": {"note": ANY},
        "content": [
            {"type": "text", "text": ANY, "uuid": ANY},
            {"type": "image", "file_uuid": ANY},
            {
                "type": "knowledge",
                "title": ANY,
                "url": ANY,
                "text": ANY,
                "is_missing": True,
                "is_citable": True,
                "prompt_context_metadata": {"age": ANY, "author": ANY, "chunk_index": N},
                "metadata": {
                    "type": "webpage_metadata",
                    "site_domain": ANY,
                    "site_name": ANY,
                    "favicon_url": ANY,
                },
            },
            {
                "type": "local_resource",
                "file_path": ANY,
                "name": ANY,
                "mime_type": ANY,
                "uuid": ANY,
            },
            {"type": "rag_reference", "doc_uuid": ANY},
            {"type": "tool_reference", "tool_name": ANY},
        ],
    },
    {**TIMES, "type": "tool_use", "name": "artifacts", "input": {"command": ANY, "content": ANY}},
    {
        **TIMES,
        "type": "tool_result",
        "name": "artifacts",
        "content": [{"type": "text", "text": ANY}],
    },
    {**TIMES, "type": "token_budget", "remaining": N},
    {**TIMES, "type": "flag", "flag": ANY, "helpline": HELPLINE},
    {**TIMES, "type": "voice_note", "title": ANY, "text": ANY},
    {**TIMES, "type": "text", "text": ANY},
]


def message(uuid: str, sender: str, parent: str, **more: object) -> dict[str, Any]:
    return {
        "uuid": uuid,
        "text": ANY,
        "sender": sender,
        "created_at": "2026-03-29T07:06:35.552627Z",
        "updated_at": "2026-03-29T08:06:35.552627Z",
        "parent_message_uuid": parent,
        "index": N,
        "truncated": True,
        "stop_reason": ANY,
        "model": ANY,
        "input_mode": ANY,
        "chat_feedback": {"uuid": ANY, "type": ANY, "reason": ANY},
        "compaction_summary": ANY,
        "sync_sources": [{"type": ANY, "config": {"uri": ANY}}],
        **more,
    }


def document() -> dict[str, Any]:
    asked = message(
        "q",
        "human",
        "00000000-0000-4000-8000-000000000000",
        content=[{**TIMES, "type": "text", "text": ANY, "citations": []}],
        attachments=[
            {
                "id": ANY,
                "file_name": ANY,
                "file_size": N,
                "file_type": ANY,
                "extracted_content": ANY,
                "created_at": ANY,
            },
            {"file_name": "", "file_size": N, "file_type": ANY, "extracted_content": ANY},
        ],
        files=[{"file_uuid": ANY, "file_name": ANY}],
        files_v2=[
            {
                "file_kind": ANY,
                "file_uuid": ANY,
                "file_name": ANY,
                "created_at": ANY,
                "thumbnail_url": ANY,
                "preview_asset": {"url": ANY, "image_width": N},
                "document_asset": {"url": ANY, "page_count": N},
            }
        ],
    )
    return {
        "uuid": ANY,
        "name": ANY,
        "summary": ANY,
        "created_at": "2026-03-29T07:06:34.084721Z",
        "updated_at": "2027-03-29T12:59:41.658730+00:00",
        "account": {"uuid": ANY},
        "model": ANY,
        "settings": {"preview_feature_uses_artifacts": True, "note": ANY},
        "is_starred": True,
        "is_temporary": True,
        "platform": ANY,
        "project_uuid": ANY,
        "project": {"uuid": ANY, "name": ANY},
        "current_leaf_message_uuid": "a",
        "chat_messages": [
            asked,
            message("o", "assistant", "q", content=[{"type": "text", "text": ANY}]),
            message("a", "assistant", "q", content=BLOCKS, attachments=[], files=[]),
        ],
    }
