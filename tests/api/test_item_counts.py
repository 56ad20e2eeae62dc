"""How many items one request may bring is checked before anything is made of them."""

import pytest

from tests.api.builders import CONVERSATIONS
from tests.support.application import Caller, serving, settings

JSON = {"Content-Type": "application/json"}
ROUTES = ("/openai/v1/conversations", "/openai/v1/conversations/conv_%s/items")
ITEM = '{"role":"user","content":"a, b, [c], {d}"}'


async def paths(caller: Caller) -> list[str]:
    conversation = (await caller.post(CONVERSATIONS, json={})).json()["id"]
    return [route.replace("%s", conversation.replace("-", "")) for route in ROUTES]


@pytest.mark.parametrize(
    ("items", "said"),
    [
        ([ITEM] * 1_001, "has 1001 items"),
        ([ITEM] * 30_000, "has more than 1000 items"),
        (["{}"] * 400_000, "has more than 1000 items"),
        (["1"] * 400_000, "has more than 1000 items"),
    ],
    ids=["one more", "many", "empty ones", "numbers"],
)
async def test_too_many_are_refused(alice: Caller, items: list[str], said: str) -> None:
    body = f'{{"items":[{",".join(items)}]}}'
    for path in await paths(alice):
        response = await alice.post(path, content=body, headers=JSON)

        assert response.status_code == 400
        error = response.json()["error"]
        assert error["param"] == "items"
        assert error["code"] == "limit_exceeded"
        assert error["message"] == (f"items: {said}; the limit is 1000, set by CHATKEEP_MAX_ITEMS")


async def test_as_many_as_allowed_are_taken_whatever_they_say(alice: Caller) -> None:
    prose = f'{{"role":"user","content":"{"a, " * 100}"}}'
    body = f'{{"items":[{",".join([prose] * 1_000)}]}}'
    assert body.count(",") > 100_000
    for path in await paths(alice):
        response = await alice.post(path, content=body, headers=JSON)

        assert response.status_code == 200


async def test_the_limit_can_be_raised_and_switched_off() -> None:
    body = f'{{"items":[{",".join([ITEM] * 1_200)}]}}'
    for limit in (1_200, 0):
        async with serving(settings(max_items=limit)) as service:
            for path in await paths(service.user()):
                response = await service.user().post(path, content=body, headers=JSON)
                assert response.status_code == 200


@pytest.mark.parametrize("items", ['"a"', "{}", "1", '"' + "," * 100_000 + '"'])
async def test_what_is_no_list_is_named(alice: Caller, items: str) -> None:
    for path in await paths(alice):
        response = await alice.post(path, content=f'{{"items":{items}}}', headers=JSON)

        assert response.status_code == 400
        assert response.json()["error"]["message"].startswith("items: must be an array")


@pytest.mark.parametrize(
    "metadata",
    [
        '{"a":1}',
        "[]",
        '"a"',
        f"{{{','.join([chr(34) + 'a' + chr(34) + ':' + chr(34) * 2] * 50_000)}}}",
    ],
)
async def test_metadata_of_another_kind_or_of_any_size_is_refused(
    alice: Caller, metadata: str
) -> None:
    body = f'{{"metadata":{metadata}}}'
    for path in ("/openai/v1/conversations", (await paths(alice))[1].removesuffix("/items")):
        response = await alice.post(path, content=body, headers=JSON)

        assert response.status_code == 400
        assert response.json()["error"]["param"] == "metadata"
