"""The schemas of the OpenAPI document: those of the structs that msgspec decodes, with limits."""

from typing import Any, Final

import msgspec

from chatkeep.domain.model import MAX_ID_CHARS
from chatkeep.entrypoints.http.audit_schemas import AuditPageOut
from chatkeep.entrypoints.http.branch_schemas import (
    BranchOut,
    BranchPage,
    ForkConversation,
    PatchBranch,
    Siblings,
)
from chatkeep.entrypoints.http.change_schemas import (
    PatchMessage,
    ReplacedOut,
    ReplaceMessages,
    TruncatedOut,
)
from chatkeep.entrypoints.http.conversation_schemas import (
    ConversationPage,
    CreateConversation,
    CreatedConversation,
    PatchConversation,
    PutConversation,
)
from chatkeep.entrypoints.http.draft_schemas import (
    CancelDraft,
    DraftOut,
    DraftsOut,
    EndedDraftOut,
    FinishDraft,
    ReadDraftOut,
    StartDraft,
    WriteChunks,
)
from chatkeep.entrypoints.http.event_schemas import EventsOut
from chatkeep.entrypoints.http.message_schemas import Append, Appended, MessagePage, UIMessagePage
from chatkeep.entrypoints.http.overview_schemas import OverviewOut
from chatkeep.entrypoints.http.problems import Problem
from chatkeep.entrypoints.http.search_schemas import SearchPageOut
from chatkeep.entrypoints.http.user_schemas import UsageOut, UserOut, UserPageOut
from chatkeep.entrypoints.settings import Settings

REFERENCE: Final = "#/components/schemas/"
_BODIES: Final = (
    Append,
    Appended,
    AuditPageOut,
    CancelDraft,
    DraftOut,
    DraftsOut,
    EndedDraftOut,
    FinishDraft,
    ReadDraftOut,
    StartDraft,
    WriteChunks,
    BranchOut,
    BranchPage,
    ConversationPage,
    CreateConversation,
    CreatedConversation,
    EventsOut,
    ForkConversation,
    MessagePage,
    OverviewOut,
    PatchBranch,
    PatchConversation,
    PatchMessage,
    Problem,
    PutConversation,
    ReplaceMessages,
    ReplacedOut,
    SearchPageOut,
    Siblings,
    TruncatedOut,
    UIMessagePage,
    UsageOut,
    UserOut,
    UserPageOut,
)


def build_schemas(generated: dict[str, Any], settings: Settings) -> dict[str, Any]:
    _, bodies = msgspec.json.schema_components(_BODIES, ref_template=REFERENCE + "{name}")
    enums = {
        name: {key: schema[key] for key in ("title", "type", "enum")}
        for name, schema in generated.items()
        if "enum" in schema
    }
    schemas = {**generated, **_simplify(bodies), **enums}
    _add_limits(schemas, settings)
    several = {**schemas["CreateConversation"]["properties"]["messages"], "minItems": 1}
    del several["default"]
    message = schemas["NewMessage"]
    message["anyOf"] = [{"required": ["role"]}, {"required": ["format", "original"]}]
    # One struct decodes both; the document shows them as two alternatives.
    after = {"after": schemas["Append"]["properties"]["after"]}
    one = schemas["NewMessage"]
    schemas["Append"] = {
        "title": "Append",
        "description": schemas["Append"]["description"],
        "oneOf": [
            {**one, "title": "One message", "properties": {**one["properties"], **after}},
            {
                "title": "Several messages",
                "type": "object",
                "properties": {"messages": several, **after},
                "required": ["messages"],
                "additionalProperties": False,
            },
        ],
    }
    return dict(sorted(schemas.items()))


def _simplify(schema: Any) -> Any:  # noqa: ANN401 - any part of a JSON schema
    """Write `{"type": ["string", "null"]}` in place of msgspec's `anyOf` of the two."""
    if isinstance(schema, list):
        return [_simplify(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    match schema:
        case {"anyOf": [{"type": str(kind), **rest}, {"type": "null"}]}:
            others = {key: value for key, value in schema.items() if key != "anyOf"}
            return _simplify({"type": [kind, "null"], **rest, **others})
        case {"enum": [only], **rest}:
            return {"const": only, **rest}
    return {key: _simplify(value) for key, value in schema.items()}


def _add_limits(schemas: dict[str, Any], settings: Settings) -> None:
    message = schemas["NewMessage"]["properties"]
    for field in (message["name"], message["tool_call_id"]):
        field["maxLength"] = MAX_ID_CHARS
    if settings.max_message_chars:
        message["content"]["maxLength"] = settings.max_message_chars
    if settings.max_user_message_chars:
        limit = f"; with the role user at most {settings.max_user_message_chars} characters"
        message["content"]["description"] += limit
    if settings.max_batch:
        messages = schemas["CreateConversation"]["properties"]["messages"]
        messages["maxItems"] = settings.max_batch
        schemas["ReplaceMessages"]["properties"]["messages"]["maxItems"] = settings.max_batch
    with_metadata = ("CreateConversation", "PutConversation", "PatchConversation", "PatchMessage")
    for name in ("NewMessage", *with_metadata):
        fields = schemas[name]["properties"]
        if settings.max_metadata_bytes:
            limit = f"; at most {settings.max_metadata_bytes} bytes as JSON"
            fields["metadata"]["description"] += limit
        if settings.max_title_chars and "title" in fields:
            fields["title"]["maxLength"] = settings.max_title_chars
