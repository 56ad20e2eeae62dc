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


async def call(operation: Operation, caller: Caller, ids: Mapping[str, str]) -> httpx.Response:
    """Call it for things of these ids, by the names of its parameters."""
    path = PARAMETER.sub(lambda name: ids[name[0].strip("{}")], operation.path)
    return await caller.request(operation.method, path, **body_of(operation))


def somebody_for(operation: Operation, service: Service, user_id: str = "alice") -> Caller:
    return service.key() if is_for_services(operation) else service.user(user_id)
