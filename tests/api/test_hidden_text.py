"""CHATKEEP_CONSOLE_TEXT=hidden: operators get conversations without what users wrote."""

from collections.abc import AsyncIterator, Callable

import pytest

from chatkeep.entrypoints.http.middleware.hidden_text import OPERATIONS
from tests.api.builders import refused, started
from tests.support.application import SERVICE_KEY, Caller, Service, serving, settings

ANNAS_KEY = "anna_0123456789abcdef0123456789abcdef"
SECRET = "swordfish"
CALL = {"id": "c1", "type": "function", "function": {"name": SECRET, "arguments": SECRET}}
UI_PARTS = [{"type": "text", "text": SECRET}, {"type": f"data-{SECRET}", "data": {SECRET: 1}}]
MESSAGES = [
    {"role": "user", "content": f"my {SECRET}", "name": SECRET, "metadata": {SECRET: SECRET}},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "content": SECRET, "tool_call_id": "c1"},
    {
        "role": "user",
        "content": [
            {"type": "text", "text": SECRET},
            {"type": "image_url", "image_url": {"url": f"https://{SECRET}.example"}},
            {"type": f"its {SECRET}", SECRET: SECRET},
        ],
    },
    {"role": "user", "content": SECRET, "format": "own", "original": {SECRET: SECRET}},
    {"format": "ai-sdk", "original": {"id": "ui", "role": "user", "parts": UI_PARTS}},
]


@pytest.fixture(scope="module")
async def service() -> AsyncIterator[Service]:
    hidden = settings(operator_keys=(("Anna", ANNAS_KEY),), console_text="hidden")
    async with serving(hidden) as service:
        yield service


@pytest.fixture
async def chat(service: Service) -> str:
    made = await started(
        service.user("alice"), title=SECRET, metadata={SECRET: SECRET}, messages=MESSAGES
    )
    return str(made["id"])


def by_key(service: Service) -> Caller:
    headers = {"Authorization": f"Bearer {ANNAS_KEY}", "X-User-Id": "alice"}
    return Caller(service.http, service.contract, headers)


def by_name(service: Service) -> Caller:
    headers = {
        "Authorization": f"Bearer {SERVICE_KEY}",
        "X-User-Id": "alice",
        "X-Operator": "Anna",
    }
    return Caller(service.http, service.contract, headers)


OPERATORS = pytest.mark.parametrize("operator", [by_key, by_name])


@OPERATORS
async def test_what_is_shown_has_no_words(
    service: Service, chat: str, operator: Callable[[Service], Caller]
) -> None:
    asking, path = operator(service), f"/v1/conversations/{chat}"
    branch = {"role": "user", "content": SECRET, "after": None}
    await service.user("alice").post(f"{path}/messages", json=branch)

    answers = [
        await asking.get("/v1/conversations"),
        await asking.get(path),
        await asking.get(f"{path}/messages", params={"branch": 0}),
        await asking.get(f"{path}/messages", params={"branch": 0, "format": "ai-sdk"}),
        await asking.get(f"{path}/messages", params={"branch": 0, "originals": "true"}),
        await asking.get(f"{path}/branches"),
        await asking.patch(path, json={"title": SECRET, "retain": True}),
        await asking.get("/v1/me"),
    ]

    assert [answer.status_code for answer in answers] == [200] * len(answers)
    assert not [answer.text for answer in answers if SECRET in answer.text]
    found = answers[2].json()["items"]
    assert [message["role"] for message in found] == [
        *("user", "assistant", "tool", "user", "user", "user")
    ]
    assert found[0]["content"] == "•" * len(f"my {SECRET}")
    assert [part["type"] for part in found[3]["content"]] == ["text", "hidden image_url", "hidden"]
    assert found[1]["tool_calls"][0]["id"] == found[2]["tool_call_id"] == "c1"
    for message in found:
        one = await asking.get(f"{path}/messages/{message['id']}", params={"originals": "true"})
        assert (one.status_code, SECRET in one.text) == (200, False)
    whole = (await service.user("alice").get(path)).json()
    assert (whole["title"], whole["metadata"]) == (SECRET, {SECRET: SECRET})


@OPERATORS
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/search?q=swordfish"),
        ("GET", "/v1/me/export"),
        ("GET", "/v1/conversations/{chat}/context"),
        ("GET", "/v1/conversations/{chat}/events?wait=0"),
        ("GET", "/v1/events?wait=0"),
        ("GET", "/v1/conversations/{chat}/drafts"),
        ("POST", "/v1/conversations/{chat}/fork"),
        ("GET", "/openai/v1/conversations/{chat}/items"),
        ("GET", "/ai-sdk/{chat}/stream"),
    ],
)
async def test_what_would_tell_about_words_is_refused(
    service: Service, chat: str, operator: Callable[[Service], Caller], method: str, path: str
) -> None:
    answer = await operator(service).request(method, path.format(chat=chat))

    assert answer.status_code == 403
    assert SECRET not in answer.text


async def test_users_and_services_see_words(service: Service, chat: str) -> None:
    for caller in (service.user("alice"), service.key("alice")):
        answer = await caller.get(f"/v1/conversations/{chat}")
        assert answer.json()["title"] == SECRET


async def test_what_an_operator_does_works(service: Service, chat: str) -> None:
    asking, path = by_key(service), f"/v1/conversations/{chat}"

    assert (await asking.request("HEAD", path)).status_code == 200
    etag = (await asking.get(path)).headers["etag"]
    assert (await asking.get(path, headers={"If-None-Match": etag})).status_code == 304
    refused(await asking.get(f"{path}x"), 404, "not-found")
    assert (await asking.delete(path)).status_code == 204
    assert (await asking.get("/v1/users")).status_code == 200


def test_each_operation_that_is_listed_exists(service: Service) -> None:
    document = service.contract.document
    known = {
        operation["operationId"]
        for methods in document["paths"].values()
        for operation in methods.values()
        if isinstance(operation, dict) and "operationId" in operation
    }

    assert known >= OPERATIONS
