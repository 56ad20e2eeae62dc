"""Opening a conversation at a message."""

from typing import Any

import pytest

from tests.api.builders import an_id, at, numbered, refused, says, started
from tests.support.application import Caller
from tests.support.json_schema import JsonObject


async def around(
    caller: Caller,
    conversation: JsonObject,
    message: JsonObject,
    **query: Any,  # noqa: ANN401 - of any kind
) -> JsonObject:
    response = await caller.get(
        at(conversation, "messages"), params={"around": message["id"], **query}
    )
    assert response.status_code == 200, response.text
    answer: JsonObject = response.json()
    return answer


async def history(caller: Caller, conversation: JsonObject) -> list[JsonObject]:
    response = await caller.get(at(conversation, "messages"), params={"limit": 100})
    items: list[JsonObject] = response.json()["items"]
    return items


async def follow(caller: Caller, conversation: JsonObject, cursor: str | None) -> list[int]:
    """Return the numbers of the messages on the pages from a cursor to the end."""
    found: list[int] = []
    while cursor is not None:
        params = {"cursor": cursor, "limit": 3}
        page = (await caller.get(at(conversation, "messages"), params=params)).json()
        found += numbers(page)
        cursor = page["next_cursor"]
    return found


def numbers(page: JsonObject) -> list[int]:
    return [int(message["content"].rpartition(" ")[2]) for message in page["items"]]


@pytest.mark.parametrize(
    ("number", "limit", "expected"),
    [
        (10, 4, [8, 9, 10, 11]),
        (10, 5, [8, 9, 10, 11, 12]),
        (10, 1, [10]),
        (0, 4, [0, 1, 2, 3]),
        (1, 6, [0, 1, 2, 3, 4, 5]),
        (19, 4, [17, 18, 19]),
        (10, 100, [*range(20)]),
    ],
)
async def test_a_page_has_the_messages_around_one(
    alice: Caller, number: int, limit: int, expected: list[int]
) -> None:
    conversation = await started(alice, *numbered(20))
    message = (await history(alice, conversation))[number]

    page = await around(alice, conversation, message, limit=limit)

    assert numbers(page) == expected
    assert (page["next_cursor"] is None) == (expected[-1] == 19)
    assert (page["previous_cursor"] is None) == (expected[0] == 0)


async def test_its_cursors_lead_to_both_ends(alice: Caller) -> None:
    conversation = await started(alice, *numbered(20))
    message = (await history(alice, conversation))[9]
    page = await around(alice, conversation, message, limit=3)
    found = numbers(page)

    later = await follow(alice, conversation, page["next_cursor"])
    earlier = await follow(alice, conversation, page["previous_cursor"])

    assert [*earlier[::-1], *found, *later] == [*range(20)]


async def test_it_opens_the_branch_that_has_the_message(alice: Caller) -> None:
    conversation = await started(alice, says("question"), says("old answer"), says("old thanks"))
    [question, old, _] = await history(alice, conversation)
    path = at(conversation, "messages")
    await alice.post(path, json={"after": question["id"], **says("new answer")})
    new = (await history(alice, conversation))[1]

    for message, branch, expected in (
        (old, {}, ["question", "old answer", "old thanks"]),
        (new, {}, ["question", "new answer"]),
        (question, {}, ["question", "new answer"]),
        (question, {"branch": "0"}, ["question", "old answer", "old thanks"]),
        (old, {"branch": "all"}, ["question", "old answer", "old thanks", "new answer"]),
    ):
        page = await around(alice, conversation, message, **branch)
        assert [each["content"] for each in page["items"]] == expected
        assert all("parent_id" in each for each in page["items"])
    response = await alice.get(path, params={"around": old["id"], "branch": "1"})
    refused(response, 404, "not-found")


async def test_what_is_wrong_is_named(alice: Caller, bob: Caller) -> None:
    conversation = await started(alice, *numbered(3))
    [message, *_] = await history(alice, conversation)
    path = at(conversation, "messages")

    for name, value in (("order", "desc"), ("after", message["id"]), ("cursor", "x")):
        response = await alice.get(path, params={"around": message["id"], name: value})
        refused(response, 422, "invalid-value", name)
    refused(await alice.get(path, params={"around": an_id()}), 404, "not-found")
    refused(await bob.get(path, params={"around": message["id"]}), 404, "not-found")


async def test_a_page_around_a_message_can_have_uimessages(alice: Caller) -> None:
    conversation = await started(alice, *numbered(3))
    [_, message, _] = await history(alice, conversation)

    page = await around(alice, conversation, message, format="ai-sdk")

    assert [each["parts"][0]["text"] for each in page["items"]] == [
        f"message {number}" for number in range(3)
    ]
