"""Every operation of the service's own document has a method, and its parameters are arguments."""

import inspect
import re
from typing import Any

import httpx
import pytest

from chatkeep_client import AsyncChatkeep, Chatkeep, models
from chatkeep_client.models import User
from chatkeep_client.testing import MemoryService

# Where a name differs from that in the document.
NAMES = {
    ("createConversation", "id"): "conversation_id",
    ("forkConversation", "id"): "new_id",
    ("startDraft", "id"): "draft_id",
    ("truncateMessages", "from"): "start",
    ("putMessage", "NewMessage"): "message",
    ("getOrCreateConversation", "If-None-Match"): "must_be_new",
}
HEADERS = {
    "Idempotency-Key": "idempotency_key",
    "If-Match": "expected_revision",
    "If-None-Match": "known_revision",
    "Last-Event-ID": "after",
}
# `messages` takes one or several messages, so the fields of a single one are not arguments.
ONE_MESSAGE = {"appendMessages"}
# Methods beside that of the operation that have the rest of its arguments.
ALSO = {
    "getHistory": ("get_ui_history",),
    "getMessage": ("get_ui_message",),
    "followConversation": ("get_events",),
    "followMe": ("get_my_events",),
}
FIXED = {("getHistory", "format"), ("getMessage", "format")}


@pytest.fixture(scope="session")
def document(service: MemoryService) -> dict[str, Any]:
    document = httpx.get(f"{service.url}/docs/openapi.json", timeout=60)
    return document.json()  # type: ignore[no-any-return]


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if path.startswith(("/v1/", "/health/"))
    ]


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def argument(operation_id: str, name: str) -> str:
    return NAMES.get((operation_id, name)) or HEADERS.get(name) or name


def body_fields(operation: dict[str, Any], document: dict[str, Any]) -> list[str]:
    """Return the fields of an operation's body; of a message its name, since it is one argument."""
    content = operation.get("requestBody", {}).get("content", {})
    schema = content.get("application/json", {}).get("schema", {})
    [reference] = [each["$ref"] for each in schema.get("oneOf", [schema]) if "$ref" in each] or [""]
    name = reference.rpartition("/")[2]
    if not name:
        return []
    if name == "NewMessage":
        return [name]
    if operation["operationId"] in ONE_MESSAGE:
        return ["messages", "after"]
    return list(document["components"]["schemas"][name]["properties"])


def faults(document: dict[str, Any], client: type) -> list[str]:
    """Return what the document has and the client does not."""
    found = []
    for method, path, operation in operations(document):
        name = operation["operationId"]
        if not hasattr(client, snake(name)):
            found.append(f"{method} {path}: no method {snake(name)}")
            continue
        arguments: set[str] = set()
        for each in (snake(name), *ALSO.get(name, ())):
            arguments |= inspect.signature(getattr(client, each)).parameters.keys()
        needed = [each["name"] for each in operation.get("parameters", [])]
        if method != "get" and name != "getOrCreateConversation":
            # A change that must not find one revision: nothing needs that.
            needed = [each for each in needed if each != "If-None-Match"]
        found += [
            f"{name}: no argument {argument(name, each)}"
            for each in [*needed, *body_fields(operation, document)]
            if argument(name, each) not in arguments and (name, each) not in FIXED
        ]
    return found


@pytest.mark.parametrize("client", [Chatkeep, AsyncChatkeep])
def test_every_operation_has_a_method_with_its_arguments(
    document: dict[str, Any], client: type
) -> None:
    assert not faults(document, client)


def test_both_clients_have_the_same_methods() -> None:
    def public(client: type) -> dict[str, list[str]]:
        methods = inspect.getmembers(client, inspect.isfunction)
        return {
            name.replace("aclose", "close"): list(inspect.signature(method).parameters)
            for name, method in methods
            if not name.startswith("_")
        }

    assert public(Chatkeep) == public(AsyncChatkeep)


def test_an_operation_or_an_argument_that_is_missing_is_found(document: dict[str, Any]) -> None:
    class Lacking(Chatkeep):
        erase_me = None  # type: ignore[assignment]

        def put_user(self, user: str) -> User:
            return super().put_user(user)

    del Lacking.erase_me
    new = {"operationId": "readMinds", "parameters": []}
    changed = {**document, "paths": {**document["paths"], "/v1/minds": {"get": new}}}
    assert set(faults(changed, Lacking)) - set(faults(document, Chatkeep)) == {
        "putUser: no argument user_id",
        "get /v1/minds: no method read_minds",
    }


def test_each_exception_is_still_needed(document: dict[str, Any]) -> None:
    known = {operation["operationId"] for _, _, operation in operations(document)}
    named = {*(name for name, _ in NAMES), *ALSO, *ONE_MESSAGE}
    assert named <= known


def test_every_field_of_a_message_is_one_of_the_struct(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for name, kind in {
        "NewMessage": models.NewMessage,
        "MessageOut": models.Message,
        "ConversationOut": models.Conversation,
        "CreatedConversation": models.CreatedConversation,
        "ConversationPage": models.ConversationPage,
        "Appended": models.Appended,
        "TruncatedOut": models.Truncated,
        "ReplacedOut": models.Replaced,
        "BranchOut": models.Branch,
        "SiblingOut": models.Sibling,
        "OpenAIContext": models.Context,
        "AnthropicContext": models.Context,
        "UIContext": models.Context,
        "EventOut": models.Event,
        "DraftOut": models.Draft,
        "ReadDraftOut": models.DraftPage,
        "HitOut": models.Hit,
        "ReadingOut": models.QueryPart,
        "SearchPageOut": models.SearchPage,
        "UsageOut": models.Usage,
        "ListedUserOut": models.ListedUser,
        "UserPageOut": models.UserPage,
    }.items():
        assert set(schemas[name]["properties"]) <= set(kind.__struct_fields__), name
