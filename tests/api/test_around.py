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


async def test_a_time_leads_to_the_first_message_that_is_not_before_it(alice: Caller) -> None:
    conversation = await started(alice, *numbered(20))
    path = at(conversation, "messages")
    times = [each["created_at"] for each in await history(alice, conversation)]

    async def since(time: str, **query: int) -> JsonObject:
        response = await alice.get(path, params={"around_time": time, **query})
        assert response.status_code == 200, response.text
        answer: JsonObject = response.json()
        return answer

    page = await since(times[0], limit=4)
    assert numbers(page) == [0, 1, 2, 3]
    assert await follow(alice, conversation, page["next_cursor"]) == [*range(4, 20)]
    page = await since("2999-01-01T00:00:00+01:00", limit=4)
    assert (numbers(page), page["next_cursor"]) == ([16, 17, 18, 19], None)
    earlier = await follow(alice, conversation, page["previous_cursor"])
    assert earlier == [*range(16)][::-1]
    assert numbers(await since("1999-01-01T00:00:00Z", limit=1)) == [0]
    empty = await started(alice)
    assert (await alice.get(at(empty, "messages"), params={"around_time": times[0]})).json() == {
        "items": [],
        "next_cursor": None,
        "previous_cursor": None,
    }


async def test_a_time_leads_to_a_message_of_the_branch(alice: Caller) -> None:
    conversation = await started(alice, says("question"), says("old answer"), says("old thanks"))
    [question, old, _] = await history(alice, conversation)
    path = at(conversation, "messages")
    await alice.post(path, json={"after": question["id"], **says("new answer")})

    for branch, expected in (({}, "new answer"), ({"branch": "0"}, "old answer")):
        params = {"around_time": old["created_at"], "limit": 1, **branch}
        [found] = (await alice.get(path, params=params)).json()["items"]
        assert found["content"] in {expected, "question"}  # they may be of one microsecond


async def test_what_is_wrong_with_a_time_is_named(alice: Caller, bob: Caller) -> None:
    conversation = await started(alice, *numbered(3))
    [message, *_] = await history(alice, conversation)
    path, time = at(conversation, "messages"), message["created_at"]

    for name, value in (("order", "desc"), ("around", message["id"]), ("cursor", "x")):
        response = await alice.get(path, params={"around_time": time, name: value})
        refused(response, 422, "invalid-value", name)
    for wrong in ("yesterday", "2026-11-27", "2026-11-27T09:30:00"):
        response = await alice.get(path, params={"around_time": wrong})
        refused(response, 422, "invalid-value", "around_time")
    refused(await bob.get(path, params={"around_time": time}), 404, "not-found")
