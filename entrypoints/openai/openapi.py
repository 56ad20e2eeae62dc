"""What the OpenAPI document says of the routes below /openai."""

from typing import Any, Final

import msgspec

from chatkeep.entrypoints.http.auth.authentication import FOR_USERS
from chatkeep.entrypoints.openai.schemas import (
    ConversationList,
    ConversationOut,
    CreateConversation,
    CreateItems,
    DeletedConversation,
    Error,
    ItemList,
    UpdateConversation,
)

TAG: Final = "openai"
_REFERENCE: Final = "#/components/schemas/OpenAI{name}"
_ITEM: Final = {"type": "object", "description": "an item, as it is stored", "title": "Item"}
_ERRORS: Final = {
    "400": "A value is wrong or over a limit; `param` names it. Or an item's id comes twice.",
    "401": "There is no token or service key, or it is not valid.",
    "403": "The caller may not do this.",
    "429": "The caller sends more at once, or a minute, than this service takes.",
    "500": "A fault of this service.",
    "503": "Not now; but trying again is safe.",
}
_NOT_FOUND: Final = {"404": "There is none, or it is somebody else's: the two look the same."}
_OF_BODIES: Final = {
    "408": "The body did not come in time.",
    "413": "The body is larger than this service takes.",
    "415": "The body is not JSON, or is encoded, as by gzip.",
}
_API_KEY: Final = {
    "type": "apiKey",
    "in": "header",
    "name": "api-key",
    "description": "the same, as the clients of Azure's OpenAI send it; only below `/openai`",
}
_KEY_TAKEN: Final = {"409": "The idempotency key was sent with another request before."}
_RETAINED: Final = {"409": "The conversation is on hold: a service key lifts the hold first."}


def with_openai(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document with these routes in it."""
    types = (
        ConversationList,
        ConversationOut,
        CreateConversation,
        CreateItems,
        DeletedConversation,
        Error,
        ItemList,
        UpdateConversation,
    )
    _, schemas = msgspec.json.schema_components(types, ref_template=_REFERENCE)
    components = document["components"]
    schemes = {**components["securitySchemes"], "api_key": _API_KEY}
    named = {f"OpenAI{name}": schema for name, schema in schemas.items()}
    about = (
        "OpenAI's Conversations API, for its unmodified SDKs: set `base_url` to `/openai/v1`. The "
        "paths work without `/v1` too, for the clients of Azure's OpenAI"
    )
    return {
        **document,
        "components": {
            **components,
            "schemas": {**components["schemas"], **named},
            "securitySchemes": schemes,
        },
        "paths": {**document["paths"], **_paths()},
        "tags": [*document["tags"], {"name": TAG, "description": about}],
    }


def _paths() -> dict[str, Any]:
    conversations = "/openai/v1/conversations"
    conversation = f"{conversations}/{{conversation_id}}"
    items = f"{conversation}/items"
    item = f"{items}/{{item_id}}"
    one = [_path("conversation_id", "`conv_` and 32 digits")]
    page = [
        _query("limit", "how many at most; brought between 1 and 100", {"type": "integer"}),
        _query("after", "only what comes after the one of this id", {"type": "string"}),
    ]
    order = _query("order", "desc (default): from the latest", {"enum": ["asc", "desc"]})
    include = _query(
        "include", "accepted, and without effect", {"type": "array", "items": {"type": "string"}}
    )
    key = _header("Idempotency-Key", "makes the request safe to send again, for ever")
    retry = _header(
        "x-stainless-retry-count",
        "what SDKs send: with 1 or more, deleting what is not there answers 200, and so does "
        "appending what is there, if an item of it has an id",
    )
    which = [*one, _path("item_id", "which item")]
    return {
        conversations: {
            "post": _operation(
                "openaiCreateConversation",
                "Create a conversation",
                ConversationOut,
                [key],
                body=CreateConversation,
                errors=_KEY_TAKEN,
                needed=False,
            ),
            "get": _operation(
                "openaiListConversations",
                "List my conversations, latest activity first",
                ConversationList,
                page,
                errors=_NOT_FOUND,
            ),
        },
        conversation: {
            "get": _operation(
                "openaiGetConversation",
                "Get a conversation",
                ConversationOut,
                one,
                errors=_NOT_FOUND,
            ),
            "post": _operation(
                "openaiUpdateConversation",
                "Replace the metadata",
                ConversationOut,
                one,
                body=UpdateConversation,
                errors=_NOT_FOUND,
            ),
            "delete": _operation(
                "openaiDeleteConversation",
                "Delete a conversation with all its items",
                DeletedConversation,
                [*one, retry],
                errors=_NOT_FOUND | _RETAINED,
            ),
        },
        items: {
            "post": _operation(
                "openaiCreateItems",
                "Append items, all or none",
                ItemList,
                [*one, include, key, retry],
                body=CreateItems,
                errors=_NOT_FOUND | _KEY_TAKEN,
            ),
            "get": _operation(
                "openaiListItems",
                "Page through the items",
                ItemList,
                [*one, *page, order, include],
                errors=_NOT_FOUND,
            ),
        },
        item: {
            "get": _operation(
                "openaiGetItem", "Get an item", None, [*which, include], errors=_NOT_FOUND
            ),
            "delete": _operation(
                "openaiDeleteItem",
                "Delete an item; the answer is its conversation",
                ConversationOut,
                [*which, retry],
                errors=_NOT_FOUND | _RETAINED,
            ),
        },
    }


def _operation(  # noqa: PLR0913 - one for each part of an operation
    operation_id: str,
    summary: str,
    answer: type[msgspec.Struct] | None,
    parameters: list[dict[str, Any]],
    *,
    body: type[msgspec.Struct] | None = None,
    needed: bool = True,
    errors: dict[str, str],
) -> dict[str, Any]:
    of_bodies = _OF_BODIES if body else {}
    statuses = sorted((_ERRORS | errors | of_bodies).items())
    return {
        "operationId": operation_id,
        "summary": summary,
        "description": f"{summary}, as OpenAI's Conversations API has it.",
        "tags": [TAG],
        "security": [*FOR_USERS, {"api_key": []}, {"api_key": [], "acting_for": []}],
        "parameters": parameters,
        **({"requestBody": {"required": needed, "content": _json(_of(body))}} if body else {}),
        "responses": {
            "200": {
                "description": "It is done, by this request or by the same one before.",
                "content": _json(_of(answer) if answer else _ITEM),
            },
            **{
                status: {"description": description, "content": _json(_of(Error))}
                for status, description in statuses
            },
        },
    }


def _of(kind: type[msgspec.Struct]) -> dict[str, Any]:
    return {"$ref": _REFERENCE.format(name=kind.__name__)}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _path(name: str, description: str) -> dict[str, Any]:
    schema = {"type": "string"}
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": schema,
    }


def _query(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "in": "query",
        "required": False,
        "description": description,
        "schema": schema,
    }


def _header(name: str, description: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": False,
        "description": description,
        "schema": {"type": "string"},
    }
