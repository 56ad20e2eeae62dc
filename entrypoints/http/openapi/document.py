"""The OpenAPI document: the one that Litestar generates, corrected and completed."""

from typing import Any, Final

from chatkeep.domain.finding import MAX_METADATA_FILTER_BYTES, MAX_METADATA_FILTERS
from chatkeep.domain.model import MAX_ID_CHARS
from chatkeep.entrypoints.http.event_cursors import PARAMETER as LAST_EVENT_ID
from chatkeep.entrypoints.http.idempotency import PARAMETER as IDEMPOTENCY_KEY
from chatkeep.entrypoints.http.ids import ID_SCHEMA
from chatkeep.entrypoints.http.live_stream import EVENT_STREAM
from chatkeep.entrypoints.http.openapi.errors import ERRORS, build_errors
from chatkeep.entrypoints.http.openapi.examples import BODIES, PARAMETERS
from chatkeep.entrypoints.http.openapi.schemas import REFERENCE, build_schemas
from chatkeep.entrypoints.http.problems import PROBLEM_JSON
from chatkeep.entrypoints.http.routes.export import MARKDOWN
from chatkeep.entrypoints.settings import Settings

# Answers that have the second shape with `?format=ai-sdk`; an empty page has both.
_IN_TWO_SHAPES: Final = {
    "getHistory": ("MessagePage", "UIMessagePage"),
    "getMessage": ("MessageOut", "UIMessageOut"),
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
            "schemas": build_schemas(components["schemas"], settings),
            "responses": build_errors(),
        },
        "paths": {
            path: {method: _build_operation(each, settings) for method, each in operations.items()}
            for path, operations in generated["paths"].items()
        },
    }


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
        schema = {"anyOf": [{"$ref": f"{REFERENCE}{name}"} for name in shapes]}
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
