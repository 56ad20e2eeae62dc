"""Ids that clients choose: any text on every route, percent-encoded in paths."""

import json
from urllib.parse import quote
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from litestar.routes import HTTPRoute

from tests.api.builders import (
    CONVERSATIONS,
    an_id,
    listed,
    reason,
    refused,
    says,
    started,
)
from tests.support.application import Caller, Service
from tests.support.json_schema import JsonObject

OPENAI = "/openai/v1/conversations"
HOSTILE = {
    "plain": "chat-42",
    "a slash": "a/b",
    "only slashes": "//",
    "a path": "../../users/bob",
    "dots within": "a/../b",
    "three dots": "...",
    "percent": "100%",
    "an escape": "a%2Fb",
    "an escape of an escape": "%252F",
    "a question": "is it? yes",
    "a fragment": "a#b",
    "semicolons and commas": "a;b=c,d",
    "plus and spaces": " a+b  c ",
    "ampersands": "a&b=c&after=d",
    "quotes": "'\"`\\",
    "braces": "{conversation_id}",
    "a colon": "urn:uuid:0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b",
    "a UUID in braces": "{0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b}",
    "the word null": "null",
    "the word NULL": "NULL",
    "a route": "messages",
    "another route": "items",
    "umlauts": "Gespräch ß",
    "composed": "é",
    "decomposed": "e\u0301",
    "emoji": "😀👩‍👩‍👧‍👦🏳️‍🌈",
    "right to left": "שלום\u202eabc",
    "invisible": "\u200b\u2060\ufeff",
    "line separators": "a\u2028b\u2029c",
    "noncharacters": "\ufdd0\ufffe\uffff\U0001ffff",
    "written escapes": "\\u0000 %00 \\x00",
    "SQL": "'; DROP TABLE conversations; --",
    "placeholders": "{} %s $1 :id",
    "the longest": "🧵" * 255,
    "an OpenAI id": "conv_0190a1b2c3d47e5f8a9b0c1d2e3f4a5",
    "upper case": "CHAT-42",
}
hostile = pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
anything = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=40).filter(
    lambda text: text not in {".", ".."}
)


def path_to(*segments: str) -> str:
    return "/".join([CONVERSATIONS, *(quote(segment, safe="") for segment in segments)])


async def use_everywhere(alice: Caller, conversation: str, message: str) -> None:
    """Use the ids on every native route, and see that each knows them."""
    created = await started(
        alice, says("Hello", id=message), says("And?", id=f"{message[:254]}2"), id=conversation
    )
    assert created["id"] == conversation
    assert [each["id"] for each in created["messages"]] == [message, f"{message[:254]}2"]
    assert {each["conversation_id"] for each in created["messages"]} == {conversation}
    one, messages = path_to(conversation), path_to(conversation, "messages")
    this = path_to(conversation, "messages", message)

    again = await alice.post(
        CONVERSATIONS,
        json={
            "id": conversation,
            "messages": [says("Hello", id=message), says("And?", id=f"{message[:254]}2")],
        },
    )
    assert again.json() == created
    for method, body in (("GET", None), ("PUT", {}), ("PATCH", {"title": "T"})):
        found = await alice.request(method, one, json=body)
        assert (found.status_code, found.json()["id"]) == (200, conversation), found.text
    assert conversation in [each["id"] for each in await listed(alice, CONVERSATIONS)]

    answer = {"role": "assistant", "content": "Yes.", "id": f"{message[:253]}/3"}
    for _ in range(2):  # the second time it is there
        stored = (await alice.post(messages, json=answer)).json()["messages"]
        assert [each["id"] for each in stored] == [answer["id"]]
        assert stored[0]["conversation_id"] == conversation
    context = await alice.get(f"{one}/context")
    assert [each["content"] for each in context.json()["messages"]] == ["Hello", "And?", "Yes."]
    history = (await alice.get(messages)).json()["items"]
    assert [each["id"] for each in history] == [message, f"{message[:254]}2", answer["id"]]
    assert (await alice.get(this)).json() == history[0]

    later = await alice.get(messages, params={"after": message, "limit": 1})
    assert later.json()["items"] == history[1:2]
    earlier = await alice.get(messages, params={"before": answer["id"], "limit": 1})
    assert earlier.json()["items"] == history[:1]
    rest = await alice.get(messages, params={"cursor": earlier.json()["next_cursor"]})
    assert rest.json() == {"items": history[1:2], "next_cursor": None}

    lines = (await alice.get("/v1/me/export")).content.splitlines()
    [exported] = [each for each in map(json.loads, lines) if each["id"] == conversation]
    assert [each["id"] for each in exported["messages"]] == [each["id"] for each in history]

    put = await alice.put(this, json=says("Hello again"))
    assert (put.status_code, put.json()["id"]) == (200, message), put.text
    patched = await alice.patch(this, json={"tokens": 3})
    assert (patched.status_code, patched.json()["id"]) == (200, message)
    replacement = {"after": message, "expected": [each["id"] for each in history[1:]]}
    answered = await alice.put(messages, json=replacement | {"messages": [says("B", id="r/1")]})
    assert [each["id"] for each in answered.json()["messages"]] == ["r/1"]
    conflict = refused(
        await alice.put(messages, json=replacement | {"messages": []}), 409, "suffix-differs"
    )
    assert conflict["found"] == ["r/1"]
    truncated = await alice.delete(messages, params={"from": "r/1"})
    assert truncated.json()["message_count"] == 1
    assert (await alice.delete(messages, params={"after": message})).json()["deleted"] == 0

    assert (await alice.delete(this)).status_code == 204
    missing = refused(await alice.get(this), 404, "not-found")
    assert missing["detail"].startswith(f"The conversation has no message {message}"[:300])
    assert (await alice.delete(one)).status_code == 204
    missing = refused(await alice.get(one), 404, "not-found")
    assert missing["detail"].startswith(f"You have no conversation {conversation}"[:300])


@hostile
async def test_any_text_is_an_id_on_every_route(alice: Caller, text: str) -> None:
    await use_everywhere(alice, text, text)


@settings(
    max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(conversation=anything, message=anything)
async def test_any_other_text_is_one_too(alice: Caller, conversation: str, message: str) -> None:
    await use_everywhere(alice, conversation, message)


@hostile
async def test_openais_api_takes_any_text_in_its_paths_too(alice: Caller, text: str) -> None:
    made = await started(alice, says("Hello"), id=text)
    root = f"{OPENAI}/{quote(text, safe='')}"

    found = (await alice.get(root)).json()
    key = found["id"]
    assert key.startswith("conv_")
    assert UUID(key.removeprefix("conv_")).version == 8
    assert (await alice.get(f"{OPENAI}/{key}")).json() == found
    item = {"type": "message", "role": "user", "content": "More", "id": "an/item"}
    await alice.post(f"{root}/items", json={"items": [item]})
    data = (await alice.get(f"{root}/items", params={"order": "asc"})).json()["data"]
    assert [each["id"] for each in data][1:] == ["an/item"]
    for each in data:
        assert (await alice.get(f"{root}/items/{quote(each['id'], safe='')}")).json() == each
    assert (await alice.delete(f"{root}/items/an%2Fitem")).json() == found
    page = await alice.get(OPENAI, params={"after": text})
    assert page.json()["data"] == []

    history = (await alice.get(path_to(text, "messages"))).json()["items"]
    assert [each["content"] for each in history] == ["Hello"]
    assert (await alice.delete(root)).json() == {
        "id": key,
        "object": "conversation.deleted",
        "deleted": True,
    }
    refused(await alice.get(path_to(made["id"])), 404, "not-found")


async def test_branches_name_messages_by_their_texts(alice: Caller) -> None:
    await started(alice, says("Hi", id="q/1"), says("A", "assistant", id="a/1"), id="a chat")
    messages = path_to("a chat", "messages")

    answer = {"role": "assistant", "content": "B", "id": "a/2", "after": "q/1"}
    for _ in range(2):
        appended = (await alice.post(messages, json=answer)).json()
        assert [each["id"] for each in appended["messages"]] == ["a/2"]
    siblings = await alice.get(path_to("a chat", "messages", "a/1", "siblings"))
    assert [each["id"] for each in siblings.json()["items"]] == ["a/1", "a/2"]
    branches = (await alice.get(path_to("a chat", "branches"))).json()["items"]
    assert [(each["left_at"], each["tip"]) for each in branches] == [(None, "a/1"), ("q/1", "a/2")]
    tree = (await alice.get(messages, params={"branch": "all"})).json()["items"]
    assert [(each["id"], each["parent_id"]) for each in tree] == [
        ("q/1", None),
        ("a/1", "q/1"),
        ("a/2", "q/1"),
    ]
    for after, why in (("..", "is . or .., which clients remove from paths"), ("", None)):
        given = {"role": "user", "content": "C", "after": after}
        problem = refused(await alice.post(messages, json=given), 422, "invalid-value", "after")
        assert why is None or reason(problem) == why


async def test_ids_that_differ_in_case_or_normalisation_are_different(alice: Caller) -> None:
    texts = ["Chat", "chat", "é", "e\u0301", "Å", "\u212b", "a b", "a+b", "a%20b"]
    for text in texts:
        await started(alice, says(text, id="m"), id=text)

    for text in texts:
        message = (await alice.get(path_to(text, "messages", "m"))).json()
        assert (message["conversation_id"], message["content"]) == (text, text)
    assert sorted(each["id"] for each in await listed(alice, CONVERSATIONS)) == sorted(texts)


async def test_the_same_text_in_two_conversations_is_two_messages(alice: Caller) -> None:
    one = await started(alice, says("one", id="first"), says("without an id"))
    other = await started(alice, says("other", id="first"), says("without an id"))

    for conversation, content in ((one, "one"), (other, "other")):
        message = await alice.get(path_to(conversation["id"], "messages", "first"))
        assert message.json()["content"] == content


async def test_the_same_texts_of_two_users_are_different_things(alice: Caller, bob: Caller) -> None:
    hers = await started(alice, says("hers", id="m"), id="c", title="Hers")
    refused(await bob.get(path_to("c")), 404, "not-found")
    refused(await bob.get(path_to("c", "messages", "m")), 404, "not-found")
    his = await started(bob, says("his", id="m"), id="c", title="His")

    assert (await bob.get(path_to("c"))).json()["title"] == "His"
    assert (await alice.get(path_to("c"))).json()["title"] == "Hers"
    await bob.delete(path_to("c"))
    assert (await alice.get(path_to("c", "messages", "m"))).json() == hers["messages"][0]
    assert his["messages"][0]["id"] == "m"


@pytest.mark.parametrize(
    "written", ["{}", "{:hex}", "{:upper}", "{:HEX}"], ids=["canonical", "hex", "upper", "HEX"]
)
async def test_a_uuid_is_the_same_in_every_way_it_was_written_before(
    alice: Caller, written: str
) -> None:
    conversation, message = UUID(an_id()), UUID(an_id())

    def write(given: UUID) -> str:
        text = given.hex if "hex" in written.lower() else str(given)
        return text if written in {"{}", "{:hex}"} else text.upper()

    created = await started(alice, says("Hello", id=write(message)), id=write(conversation))
    assert created["id"] == str(conversation)
    assert created["messages"][0]["id"] == str(message)
    for path in (
        path_to(write(conversation), "messages", write(message)),
        path_to(str(conversation), "messages", str(message)),
    ):
        assert (await alice.get(path)).json() == created["messages"][0]
    page = await alice.get(path_to(str(conversation), "messages"), params={"after": write(message)})
    assert page.json()["items"] == []


REFUSED = {
    "%00": "contains the control character U+0000",
    "a%0Ab": "contains the control character U+000A",
    "%7F": "contains the control character U+007F",
    "%C2%85": "contains the control character U+0085",
    "%2E": "is . or .., which clients remove from paths",
    "%2e%2E": "is . or .., which clients remove from paths",
    "%FF": "is not percent-encoded UTF-8",
    "%ED%A0%80": "is not percent-encoded UTF-8",
    "%C0%AF": "is not percent-encoded UTF-8",
    "%": "is not percent-encoded UTF-8",
    "%4": "is not percent-encoded UTF-8",
    "%zz": "is not percent-encoded UTF-8",
    "%+1": "is not percent-encoded UTF-8",
    "a%2": "is not percent-encoded UTF-8",
    "x" * 256: "has 256 characters; at most 255",
    quote("🧵" * 256): "has 256 characters; at most 255",
}


@pytest.mark.parametrize(("segment", "why"), REFUSED.items(), ids=[key[:20] for key in REFUSED])
async def test_what_cannot_be_an_id_in_a_path_is_refused_with_the_reason(
    alice: Caller, segment: str, why: str
) -> None:
    conversation = await started(alice)
    for method, end in (
        ("GET", ""),
        ("PUT", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("GET", "/messages"),
        ("GET", "/context"),
    ):
        body: JsonObject | None = {} if method in {"PUT", "PATCH"} else None
        answer = await alice.request(method, f"{CONVERSATIONS}/{segment}{end}", json=body)
        assert reason(refused(answer, 422, "invalid-value", "conversation_id")) == why
    for method in ("GET", "DELETE"):
        answer = await alice.request(method, f"{path_to(conversation['id'])}/messages/{segment}")
        assert reason(refused(answer, 422, "invalid-value", "message_id")) == why
    assert (await alice.get(f"{OPENAI}/{segment}")).status_code == 404


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (".", "is . or .., which clients remove from paths"),
        ("..", "is . or .., which clients remove from paths"),
        ("", "is empty; give 1 to 255 characters"),
        ("a\x00b", "contains the control character U+0000"),
        ("\x9f", "contains the control character U+009F"),
        ("x" * 256, "has 256 characters; at most 255"),
    ],
)
async def test_what_cannot_be_an_id_in_a_body_is_refused_with_the_reason(
    alice: Caller, text: str, why: str
) -> None:
    conversation = await started(alice)
    messages = path_to(conversation["id"], "messages")
    for path, body, field in (
        (CONVERSATIONS, {"id": text}, "id"),
        (CONVERSATIONS, {"messages": [says("a"), says("b", id=text)]}, "messages[1].id"),
        (messages, says("a", id=text), "id"),
        (messages, {"messages": [says("a", id=text)]}, "messages[0].id"),
    ):
        assert (
            reason(refused(await alice.post(path, json=body), 422, "invalid-value", field)) == why
        )
    for name in ("after", "before"):
        answer = await alice.get(messages, params={name: text})
        assert reason(refused(answer, 422, "invalid-value", name)) == why


async def test_an_unpaired_surrogate_is_no_id(alice: Caller) -> None:
    answer = await alice.post(
        CONVERSATIONS,
        content=b'{"id": "\\ud800"}',
        headers={"Content-Type": "application/json"},
    )

    assert answer.status_code in {400, 422}


async def test_a_path_that_is_too_long_is_refused(alice: Caller) -> None:
    for path in (
        f"{CONVERSATIONS}/{'x' * 8_200}",
        f"{CONVERSATIONS}/{'%41' * 2_800}/messages",
        f"/v1/users/{'x' * 9_000}",
    ):
        refused(
            await alice.get(path) if "users" not in path else await alice.put(path),
            414,
            "path-too-long",
        )
    # As much as the path is cut for its route, it is still that of a message to append.
    long = await alice.post(f"{CONVERSATIONS}/{'x' * 9_000}/messages", json=says("a"))
    refused(long, 414, "path-too-long")
    answer = await alice.get(f"{OPENAI}/{'x' * 9_000}/items")
    assert (answer.status_code, answer.json()["error"]["code"]) == (414, "path_too_long")


async def test_the_longest_ids_fit_into_a_path(alice: Caller) -> None:
    text = "\U0010ffff" * 255
    path = path_to(text, "messages", text)
    assert len(path) < 8_192
    await started(alice, says("Hello", id=text), id=text)

    assert (await alice.get(path)).json()["id"] == text


async def test_a_route_may_be_percent_encoded_as_before(alice: Caller) -> None:
    await started(alice, id="a/b")

    for path in (
        "/v1/%63onversations/a%2Fb",
        "/v1/conversations/%61%2fb",
        "/v1//conversations/a%2Fb/",
    ):
        assert (await alice.get(path)).json()["id"] == "a/b"
    refused(await alice.get("/v1/conversations/a/b"), 404, "not-found")
    refused(await alice.get("/v1%2Fconversations/a%2Fb"), 404, "not-found")


async def test_a_users_key_opens_the_conversation_for_its_owner_only(
    alice: Caller, bob: Caller
) -> None:
    """OpenAI's clients know it by its key, so the native API knows it too."""
    await started(alice, says("Hello", id="m"), id="chat")
    key = UUID((await alice.get(f"{OPENAI}/chat")).json()["id"].removeprefix("conv_"))

    assert (await alice.get(path_to(str(key)))).json()["id"] == "chat"
    refused(await bob.get(path_to(str(key))), 404, "not-found")
    assert (await bob.get(f"{OPENAI}/conv_{key.hex}")).status_code == 404
    refused(await alice.put(path_to(str(key)), json={}), 409, "id-taken")
    refused(await alice.post(CONVERSATIONS, json={"id": str(key)}), 409, "id-taken")
    created = await bob.put(path_to(str(key)), json={})
    assert (created.status_code, created.json()["id"]) == (201, str(key))


async def test_a_text_whose_key_is_in_use_as_a_uuid_is_taken(alice: Caller, bob: Caller) -> None:
    await started(bob, id="elsewhere")
    await started(alice, id="chat")
    key = UUID((await alice.get(f"{OPENAI}/chat")).json()["id"].removeprefix("conv_"))
    await alice.delete(path_to("chat"))
    await started(alice, id=str(key))

    refused(await alice.put(path_to("chat"), json={}), 409, "id-taken")
    refused(await alice.post(CONVERSATIONS, json={"id": "chat"}), 409, "id-taken")


async def test_an_id_that_is_taken_is_named_as_it_was_chosen(alice: Caller) -> None:
    await started(alice, says("a", id="first/message"), id="my/chat")

    problem = refused(
        await alice.post(CONVERSATIONS, json={"id": "my/chat", "title": "other"}), 409, "id-taken"
    )
    assert "conversation my/chat with" in problem["detail"]
    answer = await alice.post(path_to("my/chat", "messages"), json=says("b", id="first/message"))
    assert "message first/message with" in refused(answer, 409, "id-taken")["detail"]


async def test_one_id_makes_a_batch_safe_to_send_again_in_each_conversation(alice: Caller) -> None:
    batch = {"messages": [says("a", id="first"), says("b")]}
    for text in ("one", "two"):
        await started(alice, id=text)
        first = await alice.post(path_to(text, "messages"), json=batch)
        again = await alice.post(path_to(text, "messages"), json=batch)
        assert first.json() == again.json()
        assert (await alice.get(path_to(text))).json()["message_count"] == 2


async def test_a_hold_names_the_path_to_lift_it(service: Service) -> None:
    key = service.key(acting_for="alice")
    await started(key, id="a/b c", retain=True)

    problem = refused(await key.delete(path_to("a/b c")), 409, "retained")
    assert "PATCH /v1/conversations/a%2Fb%20c {" in problem["detail"]
    problem = refused(await key.delete("/v1/me"), 409, "retained")
    assert "a/b c" in problem["detail"]


def test_no_route_has_a_word_where_another_one_has_an_id(service: Service) -> None:
    """An id that is this word would lead to the other route."""
    paths = [
        route.path.strip("/").split("/")
        for route in service.app.routes
        if isinstance(route, HTTPRoute)
    ]
    for path in paths:
        for place, segment in enumerate(path):
            if segment.startswith("{") and path[0] in {"v1", "openai"}:
                before = path[:place]
                beside = {
                    each[place] for each in paths if each[:place] == before and len(each) > place
                }
                assert {each for each in beside if not each.startswith("{")} == set()


async def test_metrics_and_logs_do_not_grow_with_ids(
    service: Service, alice: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    await started(alice, id="my/secret chat")
    await alice.get(path_to("my/secret chat", "messages", "secret message"))
    await alice.get(f"{CONVERSATIONS}/%FF")

    metrics = (await service.nobody().get("/metrics")).text
    assert "secret" not in metrics
    assert "%" not in metrics
    assert "secret" not in "".join(
        record.getMessage() for record in caplog.records if record.name.startswith("chatkeep")
    )


async def test_the_document_says_what_an_id_may_be(service: Service) -> None:
    document: JsonObject = service.contract.document
    schemas = document["components"]["schemas"]
    for name in ("CreateConversation", "NewMessage"):
        schema = schemas[name]["properties"]["id"]
        assert (schema["type"], schema["maxLength"]) == (["string", "null"], 255)
        assert "format" not in schema
    for name in ("ConversationOut", "MessageOut"):
        assert schemas[name]["properties"]["id"]["type"] == "string"
