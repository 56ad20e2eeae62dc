"""A caller of OpenAI's API."""

import json
from typing import Any

import httpx

from tests.support.application import Service, token

HELLO = {"role": "user", "content": "Hello"}
CONVERSATIONS = "/openai/v1/conversations"


class Wire:
    """Calls the service; each error must have OpenAI's shape."""

    def __init__(self, service: Service, user_id: str) -> None:
        self.http = service.http
        self.contract = service.contract
        self.headers = {"Authorization": token(user_id)}

    async def call(self, method: str, path: str, body: object = None, **headers: str) -> Any:  # noqa: ANN401 - any JSON
        """Return the body of an answer that must be 200."""
        answer = await self.try_to(method, path, body, **headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def try_to(
        self, method: str, path: str, body: object = None, **headers: str
    ) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        answer = await self.http.request(
            method,
            path,
            content=content,
            headers={"Content-Type": "application/json", **self.headers, **named},
        )
        self.contract.check(answer)
        assert answer.headers["content-type"] == "application/json", answer.text
        assert answer.headers["cache-control"] == "no-store"
        if answer.is_error:
            error = answer.json()["error"]
            assert set(error) == {"message", "type", "param", "code"}
            assert "urn:" not in answer.text
        return answer

    async def refused(
        self, status: int, method: str, path: str, body: object = None, **headers: str
    ) -> dict[str, Any]:
        answer = await self.try_to(method, path, body, **headers)
        assert answer.status_code == status, answer.text
        error: dict[str, Any] = answer.json()["error"]
        return error

    async def started(self, *items: object) -> str:
        made = await self.call("POST", CONVERSATIONS, {"items": items})
        return f"{CONVERSATIONS}/{made['id']}"
