"""Every operation of the native API, called as its documentation says: new routes too."""

from collections.abc import Mapping
from typing import Any

import httpx

from tests.support.application import Caller, Service
from tests.support.openapi_contract import PARAMETER, Contract, Operation


def native(contract: Contract) -> list[Operation]:
    found = [each for each in contract.operations if each.path.startswith("/v1/")]
    assert len(found) >= 15
    return found


def is_for_services(operation: Operation) -> bool:
    found: bool = operation.described["security"] == [{"bearer": []}]
    return found


def body_of(operation: Operation) -> dict[str, Any]:
    """Return httpx's argument for the first example of a body, if there is to be one.

    A route without an example of its body is not documented, and not tried by tests like these.
    """
    if "requestBody" not in operation.described:
        return {}
    first, *_ = operation.described["requestBody"]["content"]["application/json"][
        "examples"
    ].values()
    return {"json": first["value"]}


def query_of(operation: Operation, ids: Mapping[str, str]) -> dict[str, Any]:
    """Return httpx's argument for a query, where one of two parameters must be given."""
    if operation.described["operationId"] == "truncateMessages":
        return {"params": {"after": ids["message_id"]}}
    if operation.described["operationId"] == "streamDraft":
        return {"params": {"epoch": 1}}
    if operation.path.endswith("/search"):
        return {"params": {"q": "words"}}
    if "events" in operation.path:  # otherwise the answer would be a stream, which does not end
        return {"params": {"wait": 0}}
    return {}


async def start_draft_for(body: Mapping[str, Any], caller: Caller) -> dict[str, str]:
    """Start a draft that the example of a body fits, and return the ids that name it."""
    conversation_id = (await caller.post("/v1/conversations", json={})).json()["id"]
    are_documents = any(isinstance(each, dict) for each in body.get("chunks", ()))
    started = await caller.post(
        f"/v1/conversations/{conversation_id}/drafts",
        json={"format": "ai-sdk" if are_documents else "text"},
    )
    return {"conversation_id": conversation_id, "draft_id": started.json()["id"]}


def messages_named_in(body: dict[str, Any]) -> list[str]:
    """Return the ids of the messages that must be there for a body to be accepted."""
    return [each for each in (body.get("after"), *body.get("expected", ())) if each is not None]


async def call(operation: Operation, caller: Caller, ids: Mapping[str, str]) -> httpx.Response:
    """Call it for things of these ids, by the names of its parameters."""
    path = PARAMETER.sub(lambda name: ids[name[0].strip("{}")], operation.path)
    options = body_of(operation) | query_of(operation, ids)
    return await caller.request(operation.method, path, **options)


def somebody_for(operation: Operation, service: Service, user_id: str = "alice") -> Caller:
    return service.key() if is_for_services(operation) else service.user(user_id)
