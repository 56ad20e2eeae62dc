"""A conversation of ChatGPT's data export with every field that exports are known to have.

`"*"` and `-1` stand for values that occur once.
"""

from typing import Any

ANY = "*"
N = -1


def node(node_id: str, parent: str | None, message: Any, *children: str) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    return {"id": node_id, "message": message, "parent": parent, "children": [*children]}


def message(
    node_id: str,
    role: str,
    content: dict[str, Any],
    metadata: dict[str, Any] | None = None,
    **more: object,
) -> dict[str, Any]:
    return {
        "id": node_id,
        "author": {"role": role, "name": None, "metadata": {}},
        "create_time": 1_700_000_000.5,
        "update_time": None,
        "content": content,
        "status": "finished_successfully",
        "end_turn": True,
        "weight": 1.0,
        "metadata": metadata or {},
        "recipient": "all",
        "channel": None,
        **more,
    }


IMAGE = {
    "content_type": "image_asset_pointer",
    "asset_pointer": ANY,
    "size_bytes": N,
    "width": N,
    "height": N,
    "fovea": N,
    "metadata": {
        "dalle": {
            "gen_id": ANY,
            "prompt": ANY,
            "seed": N,
            "parent_gen_id": ANY,
            "edit_op": ANY,
            "serialization_title": ANY,
        },
        "gizmo": {"id": ANY},
        "generation": {"gen_id": ANY, "gen_size": ANY, "seed": N, "transparent_background": True},
        "container_pixel_height": N,
        "container_pixel_width": N,
        "emu_omit_glimpse_image": ANY,
        "emu_patches_override": ANY,
        "sanitized": True,
        "asset_pointer_link": ANY,
        "watermarked_asset_pointer": ANY,
        "is_no_auth_placeholder": True,
    },
}
HEARD = {
    "content_type": "audio_transcription",
    "text": ANY,
    "direction": ANY,
    "decoding_id": ANY,
}
AUDIO = {
    "content_type": "audio_asset_pointer",
    "expiry_datetime": ANY,
    "asset_pointer": ANY,
    "size_bytes": N,
    "format": ANY,
    "tool_audio_direction": ANY,
    "metadata": {
        "start_timestamp": N,
        "end_timestamp": N,
        "pretokenized_vq": ANY,
        "interruptions": ANY,
        "original_audio_source": ANY,
        "transcription": ANY,
        "word_transcription": ANY,
        "start": N,
        "end": N,
    },
}
VIDEO = {
    "content_type": "real_time_user_audio_video_asset_pointer",
    "expiry_datetime": ANY,
    "frames_asset_pointers": [ANY],
    "video_container_asset_pointer": ANY,
    "audio_asset_pointer": AUDIO,
    "audio_start_timestamp": N,
}
NOTES: dict[str, Any] = {
    "ada_visualizations": [{"type": ANY, "file_id": ANY, "title": ANY}],
    "aggregate_result": {
        "status": ANY,
        "run_id": ANY,
        "start_time": N,
        "update_time": N,
        "code": ANY,
        "end_time": N,
        "final_expression_output": ANY,
        "in_kernel_exception": {"name": ANY, "traceback": [ANY], "args": [ANY], "notes": [ANY]},
        "system_exception": ANY,
        "messages": [{"message_type": ANY, "time": N, "sender": ANY, "image_payload": ANY}],
        "jupyter_messages": [{"msg_type": ANY, "parent_header": {"msg_id": ANY}, "content": {}}],
        "timeout_triggered": N,
    },
    "args": [ANY],
    "async_task_id": ANY,
    "async_task_title": ANY,
    "attachments": [
        {
            "id": ANY,
            "name": ANY,
            "size": N,
            "mime_type": ANY,
            "mimeType": ANY,
            "width": N,
            "height": N,
            "file_token_size": N,
            "fileTokenSize": N,
            "is_big_paste": True,
            "library_file_id": ANY,
        }
    ],
    "b1de6e2_rm": True,
    "canvas": {
        "textdoc_id": ANY,
        "textdoc_type": ANY,
        "version": N,
        "title": ANY,
        "create_source": ANY,
        "from_version": N,
        "comment_ids": [ANY],
        "has_user_edit": True,
    },
    "caterpillar_selected_sources": [ANY],
    "citations": [
        {
            "start_ix": N,
            "end_ix": N,
            "citation_format_type": ANY,
            "invalid_reason": ANY,
            "metadata": {
                "type": ANY,
                "name": ANY,
                "id": ANY,
                "source": ANY,
                "text": ANY,
                "title": ANY,
                "url": ANY,
                "pub_date": ANY,
                "extra": {"cited_message_idx": N, "evidence_text": ANY},
            },
        }
    ],
    "classifier_response": ANY,
    "cloud_doc_urls": [ANY],
    "command": ANY,
    "content_references": [
        {
            "matched_text": ANY,
            "start_idx": N,
            "end_idx": N,
            "type": ANY,
            "alt": ANY,
            "prompt_text": ANY,
            "safe_urls": [ANY],
            "refs": [{"turn_index": N, "ref_type": ANY, "ref_index": N}],
            "items": [{"title": ANY, "url": ANY, "pub_date": N, "snippet": ANY, "hue": ANY}],
            "fallback_items": [{"title": ANY}],
            "images": [{"url": ANY, "content_url": ANY, "thumbnail_url": ANY}],
            "cloud_doc_url": ANY,
            "snippet": ANY,
            "status": ANY,
            "style": ANY,
            "error": ANY,
            "invalid": True,
        }
    ],
    "conversation_id": ANY,
    "default_model_slug": ANY,
    "dictation": True,
    "dictation_edited": True,
    "exclusive_key": ANY,
    "finish_details": {"type": ANY, "stop": ANY, "stop_tokens": [N]},
    "finished_duration_sec": N,
    "finished_text": ANY,
    "gizmo_id": ANY,
    "image_gen_async": True,
    "image_gen_title": ANY,
    "image_results": [{"url": ANY, "content_url": ANY}],
    "initial_text": ANY,
    "invoked_plugin": {
        "type": ANY,
        "namespace": ANY,
        "plugin_id": ANY,
        "http_response_status": N,
    },
    "is_complete": True,
    "is_user_system_message": True,
    "is_visually_hidden_from_conversation": True,
    "jit_plugin_data": {"from_server": {"type": ANY, "body": {"domain": ANY}}},
    "kwargs": {"message_id": ANY, "pending_message_id": ANY, "sync_write": True},
    "message_locale": ANY,
    "message_source": ANY,
    "message_type": ANY,
    "model_slug": ANY,
    "model_switcher_deny": [ANY],
    "n7jupd_message": True,
    "n7jupd_title": ANY,
    "pad": ANY,
    "parent_id": ANY,
    "permissions": [{"type": ANY, "status": ANY, "notification_channel_id": ANY}],
    "real_time_audio_has_video": True,
    "reasoning_group_id": ANY,
    "reasoning_status": ANY,
    "reasoning_title": ANY,
    "rebase_developer_message": True,
    "rebase_system_message": True,
    "request_id": ANY,
    "requested_model_id": ANY,
    "safe_urls": [ANY],
    "search_display_string": ANY,
    "search_model_queries": {"type": ANY, "queries": [ANY]},
    "search_queries": [{"type": ANY, "q": ANY}],
    "search_result_groups": [{"type": ANY, "domain": ANY, "entries": [{"type": ANY, "url": ANY}]}],
    "search_source": ANY,
    "search_turns_count": N,
    "searched_display_string": ANY,
    "selected_github_repos": [ANY],
    "selected_mcp_sources": [ANY],
    "selected_sources": [ANY],
    "serialization_metadata": {"custom_symbol_offsets": [N]},
    "skip_reasoning_title": ANY,
    "sonic_classification_result": {"latency_ms": N, "search_prob": N},
    "status": ANY,
    "summarization_headline": ANY,
    "system_hints": [ANY],
    "targeted_reply": ANY,
    "targeted_reply_label": ANY,
    "tether_image_queries": [ANY],
    "timestamp_": ANY,
    "token_count": N,
    "trigger_async_ux": True,
    "turn_exchange_id": ANY,
    "ui_card_title": ANY,
    "user_context_message_data": {"about_user_message": ANY, "about_model_message": ANY},
    "voice_mode_message": True,
}
CONTENTS: list[tuple[str, dict[str, Any]]] = [
    (
        "system",
        {"content_type": "user_editable_context", "user_profile": ANY, "user_instructions": ANY},
    ),
    (
        "system",
        {
            "content_type": "model_editable_context",
            "model_set_context": ANY,
            "repository": ANY,
            "repo_summary": ANY,
            "structured_context": ANY,
        },
    ),
    ("user", {"content_type": "text", "parts": [ANY]}),
    ("user", {"content_type": "multimodal_text", "parts": [IMAGE, ANY, HEARD, AUDIO, VIDEO]}),
    (
        "assistant",
        {
            "content_type": "thoughts",
            "thoughts": [{"summary": ANY, "content": ANY, "chunks": [ANY], "finished": True}],
            "source_analysis_msg_id": ANY,
        },
    ),
    ("assistant", {"content_type": "reasoning_recap", "content": ANY}),
    (
        "call",
        {"content_type": "code", "language": ANY, "response_format_name": ANY, "text": ANY},
    ),
    ("tool", {"content_type": "execution_output", "text": ANY}),
    ("tool", {"content_type": "execution_output", "text": ANY}),
    (
        "tool",
        {
            "content_type": "tether_browsing_display",
            "result": ANY,
            "summary": ANY,
            "assets": [ANY],
            "tether_id": N,
        },
    ),
    (
        "tool",
        {
            "content_type": "tether_quote",
            "url": ANY,
            "domain": ANY,
            "text": ANY,
            "title": ANY,
            "tether_id": N,
        },
    ),
    ("tool", {"content_type": "system_error", "name": ANY, "text": ANY}),
    ("tool", {"content_type": "citable_code_output", "output_str": ANY}),
    (
        "tool",
        {
            "content_type": "computer_output",
            "computer_id": ANY,
            "screenshot": IMAGE,
            "state": {"type": ANY, "id": ANY, "url": ANY},
            "is_ephemeral": True,
        },
    ),
    (
        "tool",
        {
            "content_type": "sonic_webpage",
            "url": ANY,
            "domain": ANY,
            "title": ANY,
            "text": ANY,
            "snippet": ANY,
            "pub_date": ANY,
            "crawl_date": ANY,
            "pub_timestamp": N,
            "ref_id": {"turn_index": N, "ref_type": ANY, "ref_index": N},
        },
    ),
    ("user", {"content_type": "app_pairing_content", "workspaces": [{"id": ANY}]}),
    ("assistant", {"content_type": "super_widget", "widget": {"type": ANY}, "text": ANY}),
    ("assistant", {"content_type": "text", "parts": [ANY]}),
]


def _is_alone(kind: str, content: dict[str, Any]) -> bool:
    return kind == "tool" and content["content_type"] != "execution_output"


def document() -> dict[str, Any]:
    mapping: dict[str, Any] = {"root": node("root", None, None, "0")}
    parent = "root"
    # After a text of the user, a tool's message is no further result of the same call.
    asked = ("user", {"content_type": "text", "parts": [ANY]})
    contents = [
        each
        for kind, content in CONTENTS
        for each in (*([asked] if _is_alone(kind, content) else []), (kind, content))
    ]
    for place, (kind, content) in enumerate(contents):
        key = f"{place}"
        role = "assistant" if kind == "call" else kind
        made = message(key, role, content)
        if kind == "call":
            made["recipient"] = "python"
        if role == "tool":
            name = f"tool_{place}" if _is_alone(kind, content) else "python"
            made["author"] = {"role": role, "name": name, "metadata": {"real_author": ANY}}
        mapping[key] = node(key, parent, made, f"{place + 1}")
        parent = key
    rich = message(
        "rich",
        "assistant",
        {"content_type": "text", "parts": [ANY, ANY]},
        NOTES,
        update_time=N,
        status=ANY,
        end_turn=False,
        weight=N,
        channel=ANY,
        author={"role": "assistant", "name": ANY, "metadata": {"real_author": ANY}},
    )
    mapping["rich"] = node("rich", parent, rich, "other", "another") | {"of_tomorrow": ANY}
    for key in ("other", "another"):
        said = message(key, "user", {"content_type": "text", "parts": [ANY]}, {"note": ANY})
        mapping[key] = node(key, "rich", said)
    return {
        "title": ANY,
        "create_time": 1_690_000_000.25,
        "update_time": 1_790_000_000.75,
        "mapping": mapping,
        "current_node": "another",
        "conversation_id": ANY,
        "id": ANY,
        "moderation_results": [{"flagged": True, "message_id": ANY}],
        "plugin_ids": [ANY],
        "conversation_template_id": ANY,
        "gizmo_id": ANY,
        "gizmo_type": ANY,
        "is_archived": True,
        "is_starred": True,
        "safe_urls": [ANY],
        "blocked_urls": [ANY],
        "default_model_slug": ANY,
        "conversation_origin": ANY,
        "is_read_only": True,
        "voice": ANY,
        "async_status": N,
        "disabled_tool_ids": [ANY],
        "is_do_not_remember": True,
        "memory_scope": ANY,
        "context_scopes": [ANY],
        "sugar_item_id": ANY,
        "sugar_item_visible": True,
        "is_study_mode": True,
        "owner": {"user_id": ANY},
        "pinned_time": N,
        "rolling_summary": ANY,
        "workspace_id": ANY,
        "atlas_mode_enabled": True,
    }
