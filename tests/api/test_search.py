"""Search: what the answer says, and that nothing that a caller sends breaks it."""

from typing import Any

import pytest

from tests.api.builders import an_id, appended, at, calls, refused, says, started
from tests.support.application import Caller
from tests.support.json_schema import JsonObject

SEARCH = "/v1/search"


async def search(caller: Caller, q: str, **query: Any) -> JsonObject:  # noqa: ANN401
    response = await caller.get(SEARCH, params={"q": q, **query})
    assert response.status_code == 200, response.text
    answer: JsonObject = response.json()
    return answer


async def snippets(caller: Caller, q: str, **query: Any) -> list[str]:  # noqa: ANN401
    """Return what is found, on all pages."""
    found = await search(caller, q, **query)
    texts = [item["snippet"] for item in found["items"]]
    while found["next_cursor"] is not None:
        found = await search(caller, q, **{**query, "cursor": found["next_cursor"]})
        texts += [item["snippet"] for item in found["items"]]
    return texts


async def test_a_hit_shows_where_it_is_and_why_it_was_found(alice: Caller, bob: Caller) -> None:
    conversation = await started(alice, says("Where is my Café order?"), title="Order 1043")
    [message] = (await alice.get(at(conversation, "messages"))).json()["items"]

    found = await search(alice, "cafe")

    [hit] = found["items"]
    assert hit.pop("position") > 0
    assert hit == {
        "kind": "message",
        "conversation_id": conversation["id"],
        "title": "Order 1043",
        "message_id": message["id"],
        "role": "user",
        "created_at": message["created_at"],
        "snippet": "Where is my Café order?",
        "highlights": [[12, 16]],
    }
    assert (found["next_cursor"], found["complete"]) == (None, True)
    assert found["left"] == {"conversations": 0, "messages": 0}
    assert found["query"] == {
        "written": "cafe",
        "parts": [{"kind": "word", "written": "cafe", "without": False}],
        "notes": [],
    }
    assert (await search(bob, "cafe"))["items"] == []


async def test_a_conversation_is_found_by_its_title(alice: Caller) -> None:
    conversation = await started(alice, says("hello"), title="Plans for the holiday")

    [hit] = (await search(alice, "holiday"))["items"]

    assert hit == {
        "kind": "conversation",
        "conversation_id": conversation["id"],
        "title": "Plans for the holiday",
        "snippet": "Plans for the holiday",
        "highlights": [[14, 21]],
    }
    assert await snippets(alice, "title:plans") == ["Plans for the holiday"]
    assert await snippets(alice, "title:plans hello") == ["hello"]
    assert await snippets(alice, "title:plans role:user") == ["hello"]


async def test_queries_are_understood(alice: Caller) -> None:
    one = await started(
        alice,
        says("red apple pie"),
        says("the apple is red", "assistant"),
        calls("a", content="calling"),
        says("a pear"),
        title="Fruit",
    )
    await started(alice, says("中国語を勉強する"), says("getUserName failed"), says("applesauce"))

    for q, expected in {
        "red apple": ["the apple is red", "red apple pie"],
        '"red apple"': ["red apple pie"],
        "apple -pie": ["the apple is red"],
        "pear OR pie": ["a pear", "red apple pie"],
        "appl*": ["applesauce", "the apple is red", "red apple pie"],
        "ap*": ["applesauce", "the apple is red", "red apple pie"],
        "apple role:assistant": ["the apple is red"],
        "has:tool": ["calling\nlook {}"],
        "国語": ["中国語を勉強する"],
        "語": ["中国語を勉強する"],
        "getusername": ["getUserName failed"],
        "user name": ["getUserName failed"],
        f"in:{one['id']} ap*": ["the apple is red", "red apple pie"],
        f"-in:{one['id']} apple*": ["applesauce"],
        "apple before:2020": [],
        "apple is:archived": [],
        "-apple role:user in:" + one["id"]: ["a pear"],
    }.items():
        assert await snippets(alice, q) == expected, q
        assert await snippets(alice, q, limit=1) == expected, q


async def test_pages_go_on_and_groups_have_one_hit_each(alice: Caller) -> None:
    for number in range(5):
        await started(alice, says(f"apple {number}"), says(f"apple {number} again"))

    expected = [f"apple {number}" for number in (4, 3, 2, 1, 0)]
    assert await snippets(alice, "apple", group="conversation", limit=2) == [
        f"{each} again" for each in expected
    ]
    assert len(await snippets(alice, "apple", limit=3)) == 10


async def test_a_cursor_is_for_its_own_search(alice: Caller) -> None:
    await started(alice, says("apple 1"), says("apple 2"))
    cursor = (await search(alice, "apple", limit=1))["next_cursor"]

    for query in ({"q": "pear"}, {"q": "apple", "group": "conversation"}):
        response = await alice.get(SEARCH, params={**query, "cursor": cursor})
        refused(response, 422, "invalid-value", "q")
    for wrong in ("x", cursor[:-4], "WzFd"):
        response = await alice.get(SEARCH, params={"q": "apple", "cursor": wrong})
        refused(response, 422, "invalid-value", "cursor")


async def test_the_branch_of_a_hit_is_the_one_that_wrote_it(alice: Caller) -> None:
    conversation = await started(alice, says("question"), says("answer one", "assistant"))
    [question, _] = (await alice.get(at(conversation, "messages"))).json()["items"]
    await alice.post(
        at(conversation, "messages"), json={"after": question["id"], **says("answer two")}
    )

    found = (await search(alice, "answer"))["items"]

    assert [(hit["snippet"], hit["branch"]) for hit in found] == [
        ("answer two", 1),
        ("answer one", 0),
    ]


async def test_text_ids_come_back_as_they_were_given(alice: Caller) -> None:
    await started(alice, says("apple", id="msg 1"), id="chat/1")

    [hit] = (await search(alice, "apple in:chat/1"))["items"]

    assert (hit["conversation_id"], hit["message_id"]) == ("chat/1", "msg 1")


@pytest.mark.parametrize(
    "q",
    [
        "",
        " ",
        '"',
        "-",
        "*",
        "OR OR OR",
        "role:nobody",
        "in:",
        f"in:{'x' * 300}",
        "before:9999999",
        "after:0000-00-00",
        "title:",
        "a:b:c",
        "\x00",
        "\ud83d\ude00",
        "😀" * 900,
        "%" * 2_000,
        "' OR 1=1 --",
        "word " * 1_000,
        "-a " * 1_000,
        "a OR " * 1_000,
        '"' * 2_000,
        "中" * 1_700,
        "x" * 4_000,
        "role:user " * 300,
    ],
    ids=lambda q: repr(q[:12]),
)
async def test_no_query_is_an_error(alice: Caller, q: str) -> None:
    await started(alice, says("some text"))

    q = q.encode("utf-16", "surrogatepass").decode("utf-16")
    found = await search(alice, q)

    assert [hit["snippet"] for hit in found["items"]] == (
        ["some text"] if q.startswith(("role:user", "-a")) else []
    )
    assert isinstance(found["query"]["notes"], list)


async def test_what_is_wrong_is_named(alice: Caller) -> None:
    for query, kind, field in (
        ({"q": "a", "limit": 0}, "invalid-value", "limit"),
        ({"q": "a", "limit": 101}, "limit-exceeded", "limit"),
        ({"q": "a", "group": "user"}, "invalid-value", "group"),
    ):
        refused(await alice.get(SEARCH, params=query), 422, kind, field)
    refused(await alice.get(SEARCH, params={"q": "a" * 20_000}), 422, "invalid-value", "query")


async def test_a_snippet_of_a_long_message_is_short(alice: Caller) -> None:
    await started(alice, says(f"{'before ' * 200} needle {'after ' * 200}", "assistant"))

    [hit] = (await search(alice, "needle"))["items"]

    assert len(hit["snippet"]) <= 200
    [[start, end]] = hit["highlights"]
    assert hit["snippet"][start:end] == "needle"


async def test_what_is_changed_is_found_as_it_is_now(alice: Caller) -> None:
    conversation = await started(alice, says("old words", id=an_id()), title="Old title")
    [message] = (await alice.get(at(conversation, "messages"))).json()["items"]
    assert await snippets(alice, "old") == ["Old title", "old words"]

    await alice.put(at(conversation, "messages", message["id"]), json=says("new words"))
    await alice.patch(at(conversation), json={"title": "New title"})

    assert await snippets(alice, "old") == []
    assert await snippets(alice, "new") == ["New title", "new words"]
    await appended(alice, conversation, says("new again"))
    await alice.delete(at(conversation, "messages", message["id"]))
    assert await snippets(alice, "new -title") == ["new again"]
    await alice.delete(at(conversation))
    assert await snippets(alice, "new") == []


async def test_an_item_that_is_not_a_message_is_found_and_opened(alice: Caller) -> None:
    conversation = await started(alice, says("hello"))
    items = f"/openai/v1/conversations/conv_{conversation['id'].replace('-', '')}/items"
    reasoning = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "Weighing apples"}],
    }
    sent = await alice.post(items, json={"items": [reasoning]})
    assert sent.status_code == 200, sent.text
    await appended(alice, conversation, says("bye"))

    [hit] = (await search(alice, "apples"))["items"]

    assert hit.pop("position") > 0
    assert hit.pop("created_at")
    assert hit == {
        "kind": "item",
        "conversation_id": conversation["id"],
        "title": None,
        "item_id": "rs_1",
        "item_type": "reasoning",
        "snippet": "Weighing apples",
        "highlights": [[9, 15]],
    }
    assert await snippets(alice, "apples role:assistant") == []
    assert await snippets(alice, "apples -role:user -has:tool") == ["Weighing apples"]
    for limit, expected in ((2, ["hello", "bye"]), (1, ["bye"])):
        page = await alice.get(
            at(conversation, "messages"), params={"around": "rs_1", "limit": limit}
        )
        assert [message["content"] for message in page.json()["items"]] == expected
    refused(
        await alice.get(at(conversation, "messages"), params={"around": "rs_2"}), 404, "not-found"
    )


async def test_an_item_without_any_text_is_never_found(alice: Caller) -> None:
    conversation = await started(alice, says("hello"))
    items = f"/openai/v1/conversations/conv_{conversation['id'].replace('-', '')}/items"
    await alice.post(
        items, json={"items": [{"type": "reasoning", "summary": [], "encrypted_content": "gAAA"}]}
    )

    for q in ("-soup", "after:2020", f"in:{conversation['id']} -soup"):
        assert await snippets(alice, q) == ["hello"]
    assert await snippets(alice, "gAAA") == []


async def test_around_an_item_of_another_branch_its_branch_is_shown(alice: Caller) -> None:
    conversation = await started(alice, says("question"), says("answer one", "assistant"))
    items = f"/openai/v1/conversations/conv_{conversation['id'].replace('-', '')}/items"
    await alice.post(
        items, json={"items": [{"type": "reasoning", "id": "rs_1", "summary": [{"text": "pears"}]}]}
    )
    [question, _] = (await alice.get(at(conversation, "messages"))).json()["items"]
    await alice.post(
        at(conversation, "messages"), json={"after": question["id"], **says("answer two")}
    )

    [hit] = (await search(alice, "pears"))["items"]
    page = await alice.get(at(conversation, "messages"), params={"around": "rs_1", "limit": 4})

    assert hit["branch"] == 0
    assert [each["content"] for each in page.json()["items"]] == ["question", "answer one"]
