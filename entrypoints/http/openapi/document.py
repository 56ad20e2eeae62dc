"""The OpenAPI document: the one that Litestar generates, corrected and completed.

Bodies are described by msgspec, which decodes them; limits come from the settings.
"""

from typing import Any, Final

import msgspec

from chatkeep.domain.finding import MAX_METADATA_FILTER_BYTES, MAX_METADATA_FILTERS
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
from chatkeep.entrypoints.http.event_cursors import PARAMETER as LAST_EVENT_ID
from chatkeep.entrypoints.http.event_schemas import EventsOut
from chatkeep.entrypoints.http.idempotency import PARAMETER as IDEMPOTENCY_KEY
from chatkeep.entrypoints.http.ids import ID_SCHEMA
from chatkeep.entrypoints.http.live_stream import EVENT_STREAM
from chatkeep.entrypoints.http.message_schemas import Append, Appended, MessagePage, UIMessagePage
from chatkeep.entrypoints.http.openapi.examples import BODIES, PARAMETERS, PROBLEMS
from chatkeep.entrypoints.http.overview_schemas import OverviewOut
from chatkeep.entrypoints.http.problems import PROBLEM_JSON, Problem
from chatkeep.entrypoints.http.routes.export import MARKDOWN
from chatkeep.entrypoints.http.search_schemas import SearchPageOut
from chatkeep.entrypoints.http.user_schemas import UsageOut, UserOut, UserPageOut
from chatkeep.entrypoints.settings import Settings

_SCHEMAS: Final = "#/components/schemas/"
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
# Answers that have the second shape with `?format=ai-sdk`; an empty page has both.
_IN_TWO_SHAPES: Final = {
    "getHistory": ("MessagePage", "UIMessagePage"),
    "getMessage": ("MessageOut", "UIMessageOut"),
}
ERRORS: Final = {
    "400": ("Malformed", "The request cannot be read."),
    "401": ("Unidentified", "The token or service key is missing or invalid."),
    "403": ("Forbidden", "The caller may not do this."),
    "404": ("NotFound", "It does not exist, or belongs to another user: the two look the same."),
    "409": (
        "Conflict",
        "The id is in use, a hold forbids the change, or things are not as the request expects.",
    ),
    "408": ("TooSlow", "The body took too long to arrive; send the request again."),
    "410": ("Forgotten", "What happened after the cursor is not kept any more."),
    "412": ("Changed", "The conversation does not have a revision that the request asks for."),
    "413": ("TooLarge", "The body is larger than this service allows."),
    "414": ("PathTooLong", "The path is longer than ids of 255 characters make it."),
    "415": ("NotJson", "The body is not JSON, or is encoded, for example with gzip."),
    "422": ("Invalid", "A value is wrong or over a limit; `errors` names the field."),
    "429": ("TooMany", "The caller sends more requests, at once or per minute, than allowed."),
    "500": ("Unexpected", "A bug in this service."),
    "503": ("Unavailable", "The service cannot answer now; it is safe to try again."),
}
_RETRY_AFTER: Final = {
    "Retry-After": {
        "description": "how many seconds to wait before the next try",
        "schema": {"type": "integer", "minimum": 0},
    }
}
_ERROR_HEADERS: Final[dict[str, dict[str, Any]]] = {
    "401": {
        "WWW-Authenticate": {
            "description": "the challenge of RFC 6750",
            "schema": {"type": "string"},
        }
    },
    "412": {
        "ETag": {
            "description": "the revision of the conversation, in quotes",
            "schema": {"type": "string"},
        }
    },
    "429": _RETRY_AFTER,
    "503": _RETRY_AFTER,
}
# Without a pattern: tools that know these headers make better values than one would allow.
_TAGS: Final = {"type": "string"}
_IF_MATCH: Final[dict[str, Any]] = {
    "name": "If-Match",
    "in": "header",
    "description": "only if the conversation has the revision of one of these ETags; 412 if not",
    "required": False,
    "schema": _TAGS,
}
_IF_NONE_MATCH: Final[dict[str, Any]] = {
    "name": "If-None-Match",
    "in": "header",
    "description": "only if the conversation has none of these ETags; `*` is any",
    "required": False,
    "schema": _TAGS,
}
_STREAMS: Final = frozenset({"followConversation", "followMe"})
_WITH_KEY: Final = frozenset({"appendMessages", "createConversation", "replaceMessages"})
# Parameters that are objects, which Litestar does not know.
_OBJECT_PARAMETERS: Final[dict[str, list[dict[str, Any]]]] = {
    "listConversations": [
        {
            "name": "metadata",
            "in": "query",
            "description": (
                "only with these values in their metadata, as `metadata[agent]=support`; a value "
                "matches the string, and the number, boolean or null that is written like it; at "
                f"most {MAX_METADATA_FILTERS} values, and {MAX_METADATA_FILTER_BYTES} bytes as JSON"
            ),
            "required": False,
            "style": "deepObject",
            "explode": True,
            # In a query every value is text, so any value is one that can be sent.
            "schema": {"type": "object", "additionalProperties": {}},
        }
    ]
}
_WITHOUT_BODY: Final = frozenset({"204", "304"})
_USER_ID: Final = {"type": "string", "minLength": 1, "maxLength": MAX_ID_CHARS}
_IDS: Final = frozenset({"conversation_id", "draft_id", "message_id", "after", "before", "from"})
# Litestar writes these everywhere, although they are the defaults.
_FALSE_BY_DEFAULT: Final = frozenset({"deprecated", "allowEmptyValue", "allowReserved"})


def complete_document(generated: dict[str, Any], settings: Settings) -> dict[str, Any]:
    """Return the document to publish, made from the one that Litestar generated."""
    components = generated["components"]
    return {
        **generated,
        "components": {
            **components,
            "schemas": _build_schemas(components["schemas"], settings),
            "responses": {
                name: _build_error(status, description)
                for status, (name, description) in ERRORS.items()
            },
        },
        "paths": {
            path: {method: _build_operation(each, settings) for method, each in operations.items()}
            for path, operations in generated["paths"].items()
        },
    }


def _build_schemas(generated: dict[str, Any], settings: Settings) -> dict[str, Any]:
    _, bodies = msgspec.json.schema_components(_BODIES, ref_template=_SCHEMAS + "{name}")
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


def _build_error(status: str, description: str) -> dict[str, Any]:
    examples = {
        problem.code: {"value": msgspec.to_builtins(problem.problem())}
        for problem in PROBLEMS
        if problem.status == int(status)
    }
    error = {
        "description": description,
        "content": {PROBLEM_JSON: {"schema": {"$ref": f"{_SCHEMAS}Problem"}, "examples": examples}},
    }
    return error | ({"headers": _ERROR_HEADERS[status]} if status in _ERROR_HEADERS else {})


def _build_operation(generated: dict[str, Any], settings: Settings) -> dict[str, Any]:
    operation = _drop_defaults(generated)
    if headers := _headers_of(operation):
        operation["parameters"] = [*operation.get("parameters", ()), *headers]
    if "parameters" in operation:
        operation["parameters"] = [
            *(_build_parameter(each, settings) for each in operation["parameters"]),
            *_OBJECT_PARAMETERS.get(operation["operationId"], ()),
        ]
        for parameter in operation["parameters"]:
            if examples := PARAMETERS.get(parameter["name"]):
                parameter["examples"] = {name: {"value": value} for name, value in examples.items()}
    if "requestBody" in operation:
        operation["requestBody"] = _build_request_body(
            operation["requestBody"], operation["operationId"]
        )
    if any(each["in"] == "path" for each in operation.get("parameters", ())):
        operation["responses"] |= {"414": {"content": {PROBLEM_JSON: {}}}}
    operation["responses"] = {
        status: {"$ref": f"#/components/responses/{ERRORS[status][0]}"}
        if PROBLEM_JSON in response.get("content", {})
        else _build_response(status, response)
        for status, response in sorted(operation["responses"].items())
    }
    if operation["operationId"] in _STREAMS:
        operation["responses"]["200"]["content"] |= {EVENT_STREAM: {"schema": {"type": "string"}}}
    if operation["operationId"] == "exportConversation":
        operation["responses"]["200"]["content"] |= {
            f"{MARKDOWN}; charset=utf-8": {"schema": {"type": "string"}}
        }
    if shapes := _IN_TWO_SHAPES.get(operation["operationId"]):
        schema = {"anyOf": [{"$ref": f"{_SCHEMAS}{name}"} for name in shapes]}
        operation["responses"]["200"]["content"] = {"application/json": {"schema": schema}}
    return operation


def _headers_of(operation: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the headers that a route reads itself."""
    name = operation["operationId"]
    return [
        *([IDEMPOTENCY_KEY] if name in _WITH_KEY else ()),
        *([LAST_EVENT_ID] if name in _STREAMS else ()),
        *([_IF_MATCH, _IF_NONE_MATCH] if "412" in operation["responses"] else ()),
    ]


def _build_response(status: str, generated: dict[str, Any]) -> dict[str, Any]:
    empty = {"content"} if status in _WITHOUT_BODY else set[str]()
    return {key: value for key, value in generated.items() if value and key not in empty}


def _build_parameter(generated: dict[str, Any], settings: Settings) -> dict[str, Any]:
    parameter = _drop_defaults(generated)
    if parameter["name"] == "user_id":
        description = "the `sub` of the user's tokens, percent-encoded: a slash is %2F"
        return {**parameter, "description": description, "schema": _USER_ID}
    if parameter["name"] in _IDS and parameter["schema"].get("type") != "integer":
        if parameter["in"] == "path":
            parameter["description"] += ": its id, percent-encoded"
        return {**parameter, "schema": ID_SCHEMA}
    # An optional parameter may be left out, but it must not be null.
    schema, _ = _drop_null(parameter["schema"])
    schema.pop("description", None)
    schema.update({key: int(schema[key]) for key in ("minimum", "maximum") if key in schema})
    if parameter["name"] in {"branch", "number", "wait"} and schema["type"] == "integer":
        schema["minimum"] = 0  # Litestar leaves it out
    if parameter["name"] in {"limit", "context"} and settings.max_page:
        schema["maximum"] = settings.max_page
    return {**parameter, "schema": schema}


def _build_request_body(generated: dict[str, Any], operation_id: str) -> dict[str, Any]:
    [(media_type, content)] = generated["content"].items()
    schema, is_optional = _drop_null(content["schema"])
    if is_optional:
        schema = {"oneOf": [schema, {"type": "null"}]}
    examples = {name: {"value": value} for name, value in BODIES.get(operation_id, {}).items()}
    return {
        "required": not is_optional,
        "content": {media_type: {"schema": schema, **({"examples": examples} if examples else {})}},
    }


def _drop_null(schema: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """Return the schema without the alternative null, and whether it had that alternative."""
    others = {key: value for key, value in schema.items() if key not in {"oneOf", "allOf"}}
    alternatives = schema.get("oneOf") or schema.get("allOf") or []
    left = [each for each in alternatives if each != {"type": "null"}]
    if len(left) == 1:
        return {**left[0], **others}, len(left) < len(alternatives)
    return dict(schema), False


def _drop_defaults(generated: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value
        for key, value in generated.items()
        if value is not False or key not in _FALSE_BY_DEFAULT
    }
