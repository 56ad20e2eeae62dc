"""Branches over HTTP: edited questions and regenerated answers that keep the earlier ones."""

import json
from typing import Any

import pytest

from tests.api.builders import an_id, at, listed, paged, refused, says, started
from tests.support.application import Caller, Service, serving, settings
from tests.support.json_schema import JsonObject


class Chat:
    """A conversation, whose messages are named by their contents."""

    def __init__(self, caller: Caller, conversation: JsonObject) -> None:
        self.caller = caller
        self.conversation = conversation
        self.ids: dict[str, str] = {}

    @classmethod
    async def start(cls, caller: Caller, *contents: str) -> "Chat":
        chat = cls(caller, await started(caller))
        for content in contents:
            await chat.say(content)
        return chat

    def at(self, *more: str) -> str:
        return at(self.conversation, *more)

    async def say(self, content: str, **fields: Any) -> int | None:  # noqa: ANN401 - any JSON
        """Return the branch that the message is in."""
        body = says(content, **fields)
        response = await self.caller.post(self.at("messages"), json=body)
        assert response.status_code == 201, response.text
        [message] = response.json()["messages"]
        self.ids[content] = message["id"]
        branch: int | None = response.json().get("branch")
        return branch

    async def read(self, **parameters: object) -> str:
        items = await listed(self.caller, self.at("messages"), **parameters)
        return " ".join(each["content"] for each in items)

    async def branches(self) -> list[JsonObject]:
        return await listed(self.caller, self.at("branches"))


async def nested(caller: Caller) -> Chat:
    """Return a conversation whose branch 2 left branch 1, which left branch 0."""
    chat = await Chat.start(caller, "a", "b", "c")
    await chat.say("d", after=chat.ids["b"])
    await chat.say("e")
    await chat.say("f", after=chat.ids["d"])
    return chat


async def test_an_append_after_an_earlier_message_starts_a_branch(alice: Caller) -> None:
    chat = await Chat.start(alice, "a", "b")

    assert await chat.say("c", after=chat.ids["a"]) == 1
    assert await chat.say("d") == 1

    assert await chat.read() == "a c d"
    assert await chat.read(branch=0) == "a b"
    conversation = (await alice.get(chat.at())).json()
    assert (conversation["branch"], conversation["message_count"]) == (1, 4)


async def test_a_conversation_without_branches_shows_none(alice: Caller) -> None:
    chat = await Chat.start(alice, "a")

    assert await chat.say("b", after=chat.ids["a"]) is None
    assert "branch" not in (await alice.get(chat.at())).json()
    [message, *_] = await listed(alice, chat.at("messages"))
    assert not {"branch", "parent_id"} & message.keys()
    [branch] = await chat.branches()
    assert branch == {
        "number": 0,
        "name": None,
        "is_current": True,
        "parent": None,
        "left_at": None,
        "tip": chat.ids["b"],
        "created_at": chat.conversation["created_at"],
    }


async def test_several_messages_are_appended_at_a_place(alice: Caller) -> None:
    chat = await Chat.start(alice, "a", "b")
    body = {"messages": [says("c"), says("d")], "after": None}

    response = await alice.post(chat.at("messages"), json=body, params={"context": 5})

    assert response.json()["branch"] == 1
    assert [each["content"] for each in response.json()["context"]["messages"]] == ["c", "d"]


async def test_an_append_names_a_branch_or_a_message(alice: Caller) -> None:
    chat = await nested(alice)
    path = chat.at("messages")

    response = await alice.post(path, json=says("g"), params={"branch": 0})

    assert response.json()["branch"] == 0
    assert await chat.read() == "a b c g"
    both = await alice.post(path, json=says("h", after=None), params={"branch": 1})
    refused(both, 422, "invalid-value", "after")
    refused(await alice.post(path, json=says("h"), params={"branch": 9}), 404, "not-found")
    refused(await alice.post(path, json={**says("h"), "after": an_id()}), 404, "not-found")


async def test_a_conversation_has_no_more_branches_than_the_limit() -> None:
    async with serving(settings(max_branches=2)) as service:
        alice = service.user("alice")
        chat = await Chat.start(alice, "a", "b", "c")
        await chat.say("d", after=chat.ids["a"])

        path = chat.at("messages")
        response = await alice.post(path, json=says("e", after=chat.ids["b"]))
        problem = refused(response, 422, "limit-exceeded", "after")
        assert problem["errors"] == [
            {
                "field": "after",
                "detail": "would make 3 branches; the limit is 2, set by CHATKEEP_MAX_BRANCHES",
                "limit": 2,
                "actual": 3,
                "setting": "CHATKEEP_MAX_BRANCHES",
            }
        ]
        assert (await alice.post(path, json=says("e", after=chat.ids["c"]))).status_code == 201
        assert len(await chat.branches()) == 2


async def test_the_branches_are_listed_in_pages(alice: Caller) -> None:
    chat = await nested(alice)

    branches = await chat.branches()
    pages = await paged(alice, chat.at("branches"), limit=2)

    assert [each for page in pages for each in page] == branches
    assert [len(page) for page in pages] == [2, 1]
    names = {message_id: content for content, message_id in chat.ids.items()}
    assert [
        (each["number"], each["parent"], names.get(each["left_at"]), names[each["tip"]])
        for each in branches
    ] == [(0, None, None, "c"), (1, 0, "b", "e"), (2, 1, "d", "f")]
    assert [each["is_current"] for each in branches] == [False, False, True]


async def test_a_branch_is_renamed_and_made_current(alice: Caller) -> None:
    chat = await nested(alice)
    path = chat.at("branches", "1")

    renamed = await alice.patch(path, json={"name": "shorter"})
    switched = await alice.patch(path, json={"is_current": True})

    assert (renamed.json()["name"], renamed.json()["is_current"]) == ("shorter", False)
    assert switched.json() == renamed.json() | {"is_current": True}
    assert await chat.read() == "a b d e"
    assert (await alice.patch(path, json={"name": None})).json()["name"] is None
    refused(await alice.patch(path, json={"is_current": False}), 422, "invalid-value", "is_current")
    refused(await alice.patch(path, json={"name": "x" * 201}), 422, "invalid-value", "name")
    refused(await alice.patch(chat.at("branches", "7"), json={}), 404, "not-found")


async def test_a_branch_is_deleted_unless_it_is_current(service: Service, alice: Caller) -> None:
    chat = await nested(alice)

    refused(await alice.delete(chat.at("branches", "2")), 409, "wrong-branch")
    assert (await alice.delete(chat.at("branches", "1"))).status_code == 204

    refused(await alice.delete(chat.at("branches", "1")), 404, "not-found")
    assert await chat.read(branch="all") == "a b c d f"
    backend = service.key(acting_for=alice.user_id)
    await backend.patch(chat.at(), json={"retain": True})
    refused(await alice.delete(chat.at("branches", "0")), 409, "retained")


async def test_a_history_of_a_branch_names_the_parents(alice: Caller) -> None:
    chat = await nested(alice)
    names: dict[str | None, str | None] = {each: name for name, each in chat.ids.items()}
    names[None] = None

    async def parents(**parameters: object) -> dict[str, tuple[str | None, int]]:
        items = await listed(alice, chat.at("messages"), **parameters)
        return {each["content"]: (names[each["parent_id"]], each["branch"]) for each in items}

    whole = {
        "a": (None, 0),
        "b": ("a", 0),
        "c": ("b", 0),
        "d": ("b", 1),
        "e": ("d", 1),
        "f": ("d", 2),
    }
    for order in ("asc", "desc"):
        for limit in (1, 2, 3, 10):
            options = {"order": order, "limit": limit}
            assert await parents(branch="all", **options) == whole
            assert await parents(branch=2, **options) == {each: whole[each] for each in "abdf"}


async def test_the_cursor_of_a_branch_remembers_it(alice: Caller) -> None:
    chat = await nested(alice)
    path = chat.at("messages")
    cursor = (await alice.get(path, params={"branch": 1, "limit": 2})).json()["next_cursor"]

    rest = await alice.get(path, params={"cursor": cursor})

    assert [each["content"] for each in rest.json()["items"]] == ["d", "e"]
    other = await alice.get(path, params={"cursor": cursor, "branch": 2})
    refused(other, 422, "invalid-value", "branch")


@pytest.mark.parametrize("branch", ["", "-1", "every", "99999999999"])
async def test_an_invalid_branch_is_refused(alice: Caller, branch: str) -> None:
    chat = await Chat.start(alice, "a")

    for path in (chat.at("messages"), chat.at("context")):
        response = await alice.get(path, params={"branch": branch})
        refused(response, 422, "invalid-value", "branch")


async def test_the_alternatives_to_a_message_are_found(alice: Caller) -> None:
    chat = await nested(alice)
    await chat.say("g", after=chat.ids["b"])
    await chat.say("h", after=None)

    async def siblings(message: str) -> list[tuple[str, int, bool]]:
        response = await alice.get(chat.at("messages", chat.ids[message], "siblings"))
        names = {each: name for name, each in chat.ids.items()}
        return [
            (names[each["id"]], each["branch"], each["is_current"])
            for each in response.json()["items"]
        ]

    assert await siblings("d") == [("c", 0, False), ("d", 1, False), ("g", 3, False)]
    assert await siblings("f") == [("e", 1, False), ("f", 2, False)]
    assert await siblings("b") == [("b", 0, False)]
    assert await siblings("a") == [("a", 0, False), ("h", 4, True)]
    await alice.delete(chat.at("messages", chat.ids["d"]))
    assert await siblings("e") == [
        ("c", 0, False),
        ("e", 1, False),
        ("f", 2, False),
        ("g", 3, False),
    ]
    refused(await alice.get(chat.at("messages", an_id(), "siblings")), 404, "not-found")


async def test_the_context_is_of_the_current_branch_or_of_a_given_one(alice: Caller) -> None:
    chat = await nested(alice)

    async def context(**parameters: object) -> str:
        response = await alice.get(chat.at("context"), params=parameters)
        return " ".join(each["content"] for each in response.json()["messages"])

    assert await context() == "a b d f"
    assert await context(branch=0) == "a b c"
    refused(await alice.get(chat.at("context"), params={"branch": 9}), 404, "not-found")


async def test_an_export_keeps_all_branches(alice: Caller) -> None:
    chat = await nested(alice)
    await alice.patch(chat.at("branches", "1"), json={"name": "shorter"})

    document = json.loads((await alice.get("/v1/me/export")).content)

    assert [(each["content"], each.get("branch")) for each in document["messages"]] == [
        *(("a", None), ("b", None), ("c", None), ("d", 1), ("e", 1), ("f", 2))
    ]
    assert document["branch"] == 2
    assert [
        (each["number"], each["parent"], each["left_after"], each.get("name"))
        for each in document["branches"]
    ] == [(0, None, 0, None), (1, 0, 2, "shorter"), (2, 1, 4, None)]


async def test_openais_api_sees_the_current_branch(alice: Caller) -> None:
    chat = await nested(alice)

    conversation_id = f"conv_{chat.conversation['id'].replace('-', '')}"
    path = f"/openai/v1/conversations/{conversation_id}/items"
    items = (await alice.get(path, params={"order": "asc"})).json()["data"]

    assert [each["content"][0]["text"] for each in items] == ["a", "b", "d", "f"]


async def test_a_branch_is_forked_into_a_new_conversation(alice: Caller) -> None:
    chat = await nested(alice)
    await alice.patch(chat.at(), json={"title": "Soup", "metadata": {"a": 1}})
    body = {"id": "another try", "at": chat.ids["d"]}

    response = await alice.post(chat.at("fork"), json=body)
    again = await alice.post(chat.at("fork"), json=body)

    fork = response.json()
    assert (response.status_code, again.json()) == (201, fork)
    assert (fork["id"], fork["title"], fork["metadata"]) == ("another try", "Soup", {"a": 1})
    assert fork["forked_from"] == {
        "conversation_id": chat.conversation["id"],
        "message_id": chat.ids["d"],
    }
    items = await listed(alice, "/v1/conversations/another%20try/messages")
    assert [each["content"] for each in items] == ["a", "b", "d"]
    lines = (await alice.get("/v1/me/export")).content.splitlines()
    assert fork["forked_from"] in [json.loads(line).get("forked_from") for line in lines]


async def test_a_fork_says_what_is_wrong_with_it(alice: Caller) -> None:
    chat = await nested(alice)
    path = chat.at("fork")

    refused(await alice.post(path, json={"at": an_id()}), 404, "not-found")
    refused(await alice.post(path, json={"branch": 9}), 404, "not-found")
    refused(await alice.post(path, json={"branch": -1}), 422, "invalid-value", "branch")
    refused(await alice.post(path, json={"at": ""}), 422, "invalid-value", "at")
    refused(await alice.post(path, json={"title": "x" * 201}), 422, "limit-exceeded", "title")
    refused(await alice.post(path, json={"id": chat.conversation["id"]}), 409, "id-taken")
