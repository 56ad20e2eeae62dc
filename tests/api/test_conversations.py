"""Conversations over HTTP: made, found, listed, changed, deleted."""

from datetime import datetime
from typing import Any

import pytest

from tests.api.builders import (
    CONVERSATIONS,
    TEXTS,
    an_id,
    appended,
    at,
    listed,
    numbered,
    paged,
    refused,
    says,
    started,
)
from tests.support.application import Caller, Service


async def test_a_conversation_needs_nothing(alice: Caller) -> None:
    response = await alice.post(CONVERSATIONS, json={})

    assert response.status_code == 201
    made = response.json()
    created_at = datetime.fromisoformat(made["created_at"])
    assert made == {
        "id": made["id"],
        "title": None,
        "status": "active",
        "metadata": {},
        "message_count": 0,
        "created_at": made["created_at"],
        "updated_at": made["created_at"],
        "retain": False,
        "revision": 1,
    }
    assert abs((datetime.now(created_at.tzinfo) - created_at).total_seconds()) < 10
    assert (await alice.get(at(made))).json() == made


async def test_a_conversation_is_made_with_its_first_messages(alice: Caller) -> None:
    own_id = an_id()
    body = {
        "id": own_id,
        "title": "Order",
        "metadata": {"channel": "web", "tags": [1, None, {"a": True}]},
        "messages": [says("Be kind.", "system"), says("Hello", metadata={"lang": "en"})],
    }

    made = (await alice.post(CONVERSATIONS, json=body)).json()

    messages = made.pop("messages")
    assert (made["id"], made["title"], made["message_count"]) == (own_id, "Order", 2)
    assert made["metadata"] == body["metadata"]
    assert [(each["role"], each["content"]) for each in messages] == [
        ("system", "Be kind."),
        ("user", "Hello"),
    ]
    assert messages[1]["metadata"] == {"lang": "en"}
    assert all(each["conversation_id"] == own_id for each in messages)
    assert (await alice.get(at(made))).json() == made
    assert await listed(alice, at(made, "messages")) == messages


async def test_nulls_are_as_good_as_nothing(alice: Caller) -> None:
    made = await started(alice, id=None, title=None, metadata=None)

    assert (made["title"], made["metadata"]) == (None, {})


@pytest.mark.parametrize("messages", [[], [says("Hello")]], ids=["empty", "with messages"])
async def test_a_create_with_an_id_can_be_sent_again(
    alice: Caller, messages: list[dict[str, Any]]
) -> None:
    body = {"id": an_id(), "title": "Once", "metadata": {"a": 1}, "messages": messages}
    first = await alice.post(CONVERSATIONS, json=body)

    again = await alice.post(CONVERSATIONS, json=body)

    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert len(await listed(alice, CONVERSATIONS)) == 1
    assert len(await listed(alice, at(first.json(), "messages"))) == len(messages)


@pytest.mark.parametrize(
    "other",
    [
        {"title": "Twice"},
        {"title": None},
        {"metadata": {"a": 2}},
        {"messages": [says("Bye")]},
        {"messages": [says("Hello"), says("there")]},
    ],
    ids=["title", "no title", "metadata", "other message", "more messages"],
)
async def test_another_create_with_the_same_id_is_a_conflict(
    alice: Caller, other: dict[str, Any]
) -> None:
    body = {"id": an_id(), "title": "Once", "metadata": {"a": 1}, "messages": [says("Hello")]}
    made = await started(alice, **body)

    problem = refused(await alice.post(CONVERSATIONS, json=body | other), 409, "id-taken")

    assert body["id"] in problem["detail"]
    assert (await alice.get(at(made))).json()["title"] == "Once"


async def test_an_id_is_taken_only_for_its_user(alice: Caller, bob: Caller) -> None:
    own_id = an_id()
    await started(alice, says("mine", id=own_id), id=own_id, title="Alice's")

    made = await started(bob, says("also mine", id=own_id), id=own_id, title="Bob's")

    assert made["title"] == "Bob's"
    assert (await alice.get(at(made))).json()["title"] == "Alice's"


async def test_a_message_id_that_is_in_use_makes_no_conversation(alice: Caller) -> None:
    message = says("first", id=an_id())
    await started(alice, message)

    response = await alice.post(CONVERSATIONS, json={"messages": [message]})

    refused(response, 409, "id-taken")
    assert len(await listed(alice, CONVERSATIONS)) == 1


async def test_put_makes_a_conversation_once(alice: Caller) -> None:
    path = f"{CONVERSATIONS}/{an_id()}"
    body = {"title": "Support", "metadata": {"a": 1}}

    first = await alice.put(path, json=body)
    again = await alice.put(path, json=body)

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.content == again.content == (await alice.get(path)).content
    assert first.json()["title"] == "Support"


@pytest.mark.parametrize("body", [None, b"", b"null", b"{}", b'{"title": "Other"}'])
async def test_put_leaves_what_is_there(alice: Caller, body: bytes | None) -> None:
    made = await started(alice, title="Mine", metadata={"a": 1})

    found = await alice.put(at(made), content=body, headers={"Content-Type": "application/json"})

    assert (found.status_code, found.json()) == (200, made)


async def test_put_needs_no_body_to_make_one(alice: Caller) -> None:
    response = await alice.put(f"{CONVERSATIONS}/{an_id()}")

    assert (response.status_code, response.json()["title"]) == (201, None)


async def test_mine_are_listed_latest_activity_first_without_messages(
    alice: Caller, bob: Caller
) -> None:
    one, two, three = [await started(alice, says("secret words")) for _ in range(3)]
    await started(bob)
    await appended(alice, one, says("again"))
    await alice.patch(at(two), json={"title": "renaming is no activity"})

    response = await alice.get(CONVERSATIONS)

    assert [each["id"] for each in response.json()["items"]] == [one["id"], three["id"], two["id"]]
    assert [each["message_count"] for each in response.json()["items"]] == [2, 1, 1]
    assert "secret words" not in response.text


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 6])
async def test_the_pages_of_the_list_joined_are_the_list(alice: Caller, limit: int) -> None:
    made = [await started(alice) for _ in range(5)]

    pages = await paged(alice, CONVERSATIONS, limit=limit)

    assert [each["id"] for page in pages for each in page] == [each["id"] for each in made[::-1]]
    assert [len(page) for page in pages[:-1]] == [limit] * (len(pages) - 1)
    assert 0 < len(pages[-1]) <= limit


async def test_a_page_has_twenty_unless_asked(alice: Caller) -> None:
    for _ in range(21):
        await started(alice)

    assert [len(page) for page in await paged(alice, CONVERSATIONS)] == [20, 1]


@pytest.mark.parametrize("status", ["active", "archived"])
async def test_the_cursor_carries_the_status_on(alice: Caller, status: str) -> None:
    made = [await started(alice) for _ in range(6)]
    for conversation in made[::2]:
        await alice.patch(at(conversation), json={"status": "archived"})
    expected = made[::2] if status == "archived" else made[1::2]

    pages = await paged(alice, CONVERSATIONS, status=status, limit=2)

    assert [len(page) for page in pages] == [2, 1]
    assert [each["id"] for page in pages for each in page] == [
        each["id"] for each in expected[::-1]
    ]
    assert {each["status"] for page in pages for each in page} == {status}


async def test_the_list_of_somebody_new_is_empty(alice: Caller) -> None:
    assert (await alice.get(CONVERSATIONS)).json() == {"items": [], "next_cursor": None}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"title": "New"}, {"title": "New"}),
        ({"title": None}, {"title": None}),
        ({"title": ""}, {"title": ""}),
        ({"status": "archived"}, {"status": "archived"}),
        ({"metadata": {"b": 2}}, {"metadata": {"b": 2}}),
        ({"metadata": {}}, {"metadata": {}}),
        ({}, {}),
        ({"title": "New", "status": "archived"}, {"title": "New", "status": "archived"}),
    ],
)
async def test_a_change_changes_what_it_names(
    alice: Caller, change: dict[str, Any], expected: dict[str, Any]
) -> None:
    made = await started(alice, title="Old", metadata={"a": 1})

    response = await alice.patch(at(made), json=change)

    changed = made | expected | {"revision": 2}
    assert (response.status_code, response.json()) == (200, changed)
    assert (await alice.get(at(made))).json() == changed


async def test_an_archived_conversation_can_be_taken_back(alice: Caller) -> None:
    made = await started(alice)
    await alice.patch(at(made), json={"status": "archived"})

    assert (await alice.patch(at(made), json={"status": "active"})).json() == made | {"revision": 3}


async def test_a_deleted_conversation_is_gone_with_its_messages(alice: Caller) -> None:
    made = await started(alice, *numbered(3))
    kept = await started(alice, *numbered(2))

    response = await alice.delete(at(made))

    assert (response.status_code, response.content) == (204, b"")
    for path in (at(made), at(made, "messages"), at(made, "context")):
        problem = refused(await alice.get(path), 404, "not-found")
        assert made["id"] in problem["detail"]
    refused(await alice.delete(at(made)), 404, "not-found")
    assert [each["id"] for each in await listed(alice, CONVERSATIONS)] == [kept["id"]]
    assert (await alice.get("/v1/me")).json()["messages"] == 2


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
async def test_titles_and_metadata_come_back_exactly(alice: Caller, text: str) -> None:
    metadata = {text: [text, {text: text}], "": None}

    made = await started(alice, title=text, metadata=metadata)
    put = await alice.put(f"{CONVERSATIONS}/{an_id()}", json={"title": text, "metadata": metadata})
    changed = await alice.patch(
        at(await started(alice)), json={"title": text, "metadata": metadata}
    )

    for each in (made, put.json(), changed.json(), *await listed(alice, CONVERSATIONS)):
        assert (each["title"], each["metadata"]) == (text, metadata)


@pytest.mark.parametrize(
    "number",
    ["0", "-1", "0.1", "1e300", "-2.5e-7", "9007199254740993", "123456789012345678901234567890"],
)
async def test_numbers_come_back_as_they_are(alice: Caller, number: str) -> None:
    body = f'{{"metadata": {{"n": {number}}}}}'
    response = await alice.post(
        CONVERSATIONS, content=body, headers={"Content-Type": "application/json"}
    )

    assert response.json()["metadata"]["n"] == type(response.json()["metadata"]["n"])(number)


async def test_a_chat_endpoint_needs_one_call_before_the_model_and_one_after(
    service: Service, alice: Caller
) -> None:
    """The way in for a backend that keeps nothing: get or create, then append and read."""
    backend = service.key(acting_for=alice.user_id)
    path = f"{CONVERSATIONS}/{an_id()}"
    await backend.put(path, json={"title": "Support"})

    question = await backend.post(f"{path}/messages?context=20", json=says("Where is it?"))
    answer = await backend.post(f"{path}/messages", json=says("Here.", "assistant"))

    assert question.json()["context"]["messages"] == [{"role": "user", "content": "Where is it?"}]
    assert answer.status_code == 201
    assert [each["content"] for each in await listed(alice, f"{path}/messages")] == [
        "Where is it?",
        "Here.",
    ]
