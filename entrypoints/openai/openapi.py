"""The part of the OpenAPI document about the routes below /openai."""

from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Struct

from chatkeep.entrypoints.http.auth.authentication import FOR_USERS
from chatkeep.entrypoints.http.openapi.errors import ERRORS
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
_ALL: Final = "/openai/v1/conversations"
_ONE: Final = f"{_ALL}/{{conversation_id}}"
_ITEMS: Final = f"{_ONE}/items"
_ITEM: Final = f"{_ITEMS}/{{item_id}}"

# By their status, the errors of every operation; of those with a body; and of some.
_ALWAYS: Final = {
    "400": "A value is wrong or over a limit; `param` names it. Or an item's id is a duplicate.",
    **{status: ERRORS[status][1] for status in ("401", "403", "429", "500", "503")},
}
_OF_BODIES: Final = {status: ERRORS[status][1] for status in ("408", "413", "415")}
_OF_PATHS: Final = {"414": ERRORS["414"][1]}
_NOT_FOUND: Final = {"404": ERRORS["404"][1]}
_KEY_TAKEN: Final = {"409": "The idempotency key was sent with another request before."}
_RETAINED: Final = {"409": "The conversation is on hold: a service key lifts the hold first."}
_API_KEY: Final = {
    "type": "apiKey",
    "in": "header",
    "name": "api-key",
    "description": "the same in the header of Azure OpenAI's clients; only below `/openai`",
}


def _parameter(
    where: str, name: str, description: str, schema: dict[str, Any] | None = None
) -> dict[str, Any]:
    return {
        "name": name,
        "in": where,
        "required": where == "path",
        "description": description,
        "schema": schema or {"type": "string"},
    }


_CONVERSATION_ID: Final = _parameter(
    "path", "conversation_id", "`conv_` and 32 digits, or the id that you chose for it natively"
)
_ITEM_ID: Final = _parameter("path", "item_id", "which item")
_PAGE: Final = (
    _parameter("query", "limit", "how many at most; clamped to 1 to 100", {"type": "integer"}),
    _parameter("query", "after", "only those after the one with this id"),
)
_ORDER: Final = _parameter(
    "query", "order", "desc (default): from the latest", {"enum": ["asc", "desc"]}
)
_INCLUDE: Final = _parameter(
    "query",
    "include",
    "accepted, and without effect",
    {"type": "array", "items": {"type": "string"}},
)
_KEY: Final = _parameter(
    "header", "Idempotency-Key", "makes the request safe to send again, at any time"
)
_RETRY: Final = _parameter(
    "header",
    "x-stainless-retry-count",
    "sent by SDKs; with 1 or more, a deletion of something absent answers 200, and so does an "
    "append of stored items if one of them has an id",
)


class _Operation(NamedTuple):
    """One operation. `answer` is None for an item, which may be any object."""

    path: str
    method: str
    id: str
    summary: str
    answer: type[Struct] | None
    parameters: tuple[dict[str, Any], ...]
    errors: dict[str, str]
    body: type[Struct] | None = None
    needs_body: bool = True

    def describe(self) -> dict[str, Any]:
        errors = _ALWAYS | self.errors | (_OF_BODIES if self.body else {})
        if self.path != _ALL:
            errors |= _OF_PATHS
        body = {"required": self.needs_body, "content": _json(self.body)} if self.body else None
        return {
            "operationId": f"openai{self.id}",
            "summary": self.summary,
            "description": f"{self.summary}, like OpenAI's Conversations API.",
            "tags": [TAG],
            "security": [*FOR_USERS, {"api_key": []}, {"api_key": [], "acting_for": []}],
            "parameters": [*self.parameters],
            **({"requestBody": body} if body else {}),
            "responses": {
                "200": {
                    "description": "It is done, by this request or by an earlier, equal one.",
                    "content": _json(self.answer),
                },
                **{
                    status: {"description": description, "content": _json(Error)}
                    for status, description in sorted(errors.items())
                },
            },
        }


# fmt: off
_OPERATIONS: Final = (
    _Operation(_ALL, "post", "CreateConversation", "Create a conversation", ConversationOut,
               (_KEY,), _KEY_TAKEN, CreateConversation, needs_body=False),
    _Operation(_ALL, "get", "ListConversations", "List my conversations, latest activity first",
               ConversationList, _PAGE, _NOT_FOUND),
    _Operation(_ONE, "get", "GetConversation", "Get a conversation", ConversationOut,
               (_CONVERSATION_ID,), _NOT_FOUND),
    _Operation(_ONE, "post", "UpdateConversation", "Replace the metadata", ConversationOut,
               (_CONVERSATION_ID,), _NOT_FOUND, UpdateConversation),
    _Operation(_ONE, "delete", "DeleteConversation", "Delete a conversation with all its items",
               DeletedConversation, (_CONVERSATION_ID, _RETRY), _NOT_FOUND | _RETAINED),
    _Operation(_ITEMS, "post", "CreateItems", "Append items, all or none", ItemList,
               (_CONVERSATION_ID, _INCLUDE, _KEY, _RETRY), _NOT_FOUND | _KEY_TAKEN, CreateItems),
    _Operation(_ITEMS, "get", "ListItems", "Page through the items", ItemList,
               (_CONVERSATION_ID, *_PAGE, _ORDER, _INCLUDE), _NOT_FOUND),
    _Operation(_ITEM, "get", "GetItem", "Get an item", None,
               (_CONVERSATION_ID, _ITEM_ID, _INCLUDE), _NOT_FOUND),
    _Operation(_ITEM, "delete", "DeleteItem", "Delete an item; the answer is its conversation",
               ConversationOut, (_CONVERSATION_ID, _ITEM_ID, _RETRY), _NOT_FOUND | _RETAINED),
)
# fmt: on


def with_openai(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document with these routes in it."""
    types = {kind for each in _OPERATIONS for kind in (each.answer, each.body) if kind} | {Error}
    _, schemas = msgspec.json.schema_components(types, ref_template=_REFERENCE)
    paths: dict[str, Any] = {}
    for operation in _OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = operation.describe()
    components = document["components"]
    about = (
        "OpenAI's Conversations API, for its unmodified SDKs: set `base_url` to `/openai/v1`. The "
        "paths work without `/v1` too, for the clients of Azure's OpenAI"
    )
    return {
        **document,
        "components": {
            **components,
            "schemas": {
                **components["schemas"],
                **{f"OpenAI{name}": schemas[name] for name in sorted(schemas)},
            },
            "securitySchemes": {**components["securitySchemes"], "api_key": _API_KEY},
        },
        "paths": {**document["paths"], **paths},
        "tags": [*document["tags"], {"name": TAG, "description": about}],
    }


def _json(kind: type[Struct] | None) -> dict[str, Any]:
    schema = {"type": "object", "description": "an item, as it is stored", "title": "Item"}
    if kind is not None:
        schema = {"$ref": _REFERENCE.format(name=kind.__name__)}
    return {"application/json": {"schema": schema}}
