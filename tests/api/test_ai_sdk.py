"""UIMessages of the AI SDK over HTTP: returned as they were sent, and translated for models."""

import json
from typing import Any

import pytest

from tests.api.builders import (
    CONVERSATIONS,
    an_id,
    answers,
    appended,
    at,
    calls,
    listed,
    reason,
    refused,
    says,
    started,
)
from tests.support.application import Caller
from tests.support.json_schema import JsonObject
from tests.unit.ui_messages import IMAGE, PDF, PIXEL, SAMPLES, STEP, TEXT, assistant, tool, user

JSON = {"Content-Type": "application/json"}


def sends(original: JsonObject, **fields: Any) -> JsonObject:  # noqa: ANN401 - of any kind
    return {"format": "ai-sdk", "original": original, **fields}


async def contexts(caller: Caller, conversation: JsonObject) -> dict[str, list[JsonObject]]:
    """Return the messages of a context by format."""
    return {
        form: (await caller.get(at(conversation, f"context?limit=50&format={form}"))).json()[
            "messages"
        ]
        for form in ("openai", "anthropic", "ai-sdk")
    }


@pytest.mark.parametrize("name", SAMPLES)
async def test_a_ui_message_is_returned_as_it_was_sent(alice: Caller, name: str) -> None:
    document = SAMPLES[name]
    conversation = await started(alice)

    [stored] = await appended(alice, conversation, sends(document))

    [page] = (await alice.get(at(conversation, "messages?format=ai-sdk"))).json()["items"]
    one = await alice.get(at(conversation, "messages", f"{stored['id']}?format=ai-sdk"))
    expected = document if document["id"] else {**document, "id": stored["id"]}
    assert page == expected
    assert one.json() == expected
    assert (stored["role"], stored["format"]) == (document["role"], "ai-sdk")


async def test_its_bytes_are_those_that_were_sent(alice: Caller) -> None:
    text = '{"role":"user", "parts":[ {"text":"\\u0041 \\u0000é","type":"text"} ],"id":"m-1" }'
    conversation = await started(alice)
    body = f'{{"format": "ai-sdk", "original": {text}}}'
    sent = await alice.post(at(conversation, "messages"), content=body.encode(), headers=JSON)
    assert sent.status_code == 201, sent.text

    page = await alice.get(at(conversation, "messages?format=ai-sdk"))

    assert page.content == f'{{"items":[{text}],"next_cursor":null}}'.encode()
    assert sent.json()["messages"][0]["content"] == "A \x00é"


async def test_role_text_and_metadata_are_read_from_it(alice: Caller) -> None:
    conversation = await started(alice)
    one = await alice.post(at(conversation, "messages"), json=sends(SAMPLES["an answer"]))
    created = await started(alice, sends(SAMPLES["a question"]))

    [answer] = one.json()["messages"]
    assert (answer["role"], answer["content"]) == ("assistant", "It is 20 degrees.")
    assert answer["metadata"] == {"totalTokens": 12, "model": "gpt"}
    [question] = await listed(alice, at(created, "messages"))
    assert (question["role"], question["content"]) == ("user", "How warm is it?")


async def test_what_is_given_beside_it_counts(alice: Caller) -> None:
    conversation = await started(alice)
    given = {"content": "in short", "metadata": {"a": 1}, "name": "bot", "tokens": 3}

    [stored] = await appended(alice, conversation, sends(SAMPLES["an answer"], **given))

    assert stored == stored | given


async def test_its_id_is_that_of_the_message(alice: Caller) -> None:
    conversation = await started(alice)
    question, other = SAMPLES["a question"], user(TEXT) | {"id": "msg /"}

    [first] = await appended(alice, conversation, sends(question))
    [again] = await appended(alice, conversation, sends(question))
    put = await alice.put(at(conversation, "messages", "msg%20%2F"), json=sends(other))

    assert (first["id"], again) == (question["id"], first)
    assert (put.status_code, put.json()["id"]) == (201, "msg /")
    found = await alice.get(at(conversation, "messages?format=ai-sdk"))
    assert found.json()["items"] == [question, other]


async def test_a_uuid_in_it_is_the_id_of_the_message(alice: Caller) -> None:
    conversation = await started(alice)
    document = user({"type": "text", "text": "Hi"}) | {"id": an_id()}

    [first] = await appended(alice, conversation, sends(document))
    [again] = await appended(alice, conversation, sends(document))

    assert first["id"] == document["id"]
    assert again == first
    answer = await alice.post(at(conversation, "messages"), json=sends(document, id=an_id()))
    refused(answer, 422, "invalid-value", "id")


@pytest.mark.parametrize(
    ("message", "field", "why"),
    [
        (sends(assistant({"type": 7})), "original.parts[0].type", "must be a string"),
        (sends(assistant(STEP, {"type": "text"})), "original.parts[1].text", "is missing"),
        (sends({"role": "tool", "parts": []}), "original.role", "not one of"),
        (sends({"role": "user", "content": "Hi"}), "original.parts", "version 4"),
        (sends(SAMPLES["an answer"], role="user"), "role", "that of the original is assistant"),
        ({"format": "notes", "original": {}}, "role", "is missing"),
        ({"format": "ai-sdk"}, "role", "is missing"),
    ],
)
async def test_a_wrong_document_is_refused_by_the_field_in_it(
    alice: Caller, message: JsonObject, field: str, why: str
) -> None:
    conversation = await started(alice)
    path = at(conversation, "messages")

    several = await alice.post(path, json={"messages": [says("a"), message]})
    created = await alice.post(CONVERSATIONS, json={"messages": [message]})

    assert why in reason(refused(several, 422, "invalid-value", f"messages[1].{field}"))
    assert why in reason(refused(created, 422, "invalid-value", f"messages[0].{field}"))
    assert await listed(alice, path) == []


async def test_a_model_gets_its_steps_with_calls_and_results(alice: Caller) -> None:
    document = assistant(
        STEP,
        {"type": "text", "text": "Let me look."},
        tool("output-available"),
        tool("input-available", "call_2"),
        STEP,
        TEXT,
    )
    question = user({"type": "text", "text": "How warm is it?"})
    conversation = await started(alice, sends(question), sends(document))

    found = await contexts(alice, conversation)

    arguments = '{"city":"Kyiv","days":3}'
    output = '{"degrees":20,"sky":"clear"}'
    function = {"name": "getWeather", "arguments": arguments}
    assert found["openai"] == [
        says("How warm is it?"),
        says(
            "Let me look.",
            "assistant",
            tool_calls=[{"id": "call_1", "type": "function", "function": function}],
        ),
        answers("call_1", output),
        says("It is 20 degrees.", "assistant"),
    ]
    assert found["anthropic"] == [
        says("How warm is it?"),
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "Let me look."},
                {
                    "type": "tool_use",
                    "id": "call_1",
                    "name": "getWeather",
                    "input": json.loads(arguments),
                },
            ],
        },
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "call_1", "content": output}],
        },
        says("It is 20 degrees.", "assistant"),
    ]
    assert found["ai-sdk"] == [question, document]


async def test_an_append_returns_the_same_context(alice: Caller) -> None:
    conversation = await started(alice, sends(SAMPLES["a question"]))
    message = sends(SAMPLES["an answer in two steps"], id=an_id())
    for form in ("openai", "anthropic", "ai-sdk"):
        path = at(conversation, f"messages?context=50&format={form}")
        answer = (await alice.post(path, json=message)).json()["context"]
        assert answer["messages"] == (await contexts(alice, conversation))[form]
        assert (answer["format"], answer["truncated"]) == (form, False)


async def test_a_context_has_the_revision_of_its_conversation(alice: Caller) -> None:
    conversation = await started(alice, sends(SAMPLES["an answer in two steps"]))
    await alice.post(at(conversation, "messages"), json=says("and then?"))

    found = await alice.get(at(conversation, "context"))

    assert found.headers["etag"] == '"2"'


async def test_a_context_says_whether_it_is_truncated(alice: Caller) -> None:
    conversation = await started(
        alice, sends(SAMPLES["a question"]), sends(SAMPLES["an answer in two steps"])
    )
    for limit, expected in ((1, True), (2, False)):
        answer = await alice.get(at(conversation, f"context?limit={limit}"))
        assert answer.json()["truncated"] is expected
    shorter = await alice.get(at(conversation, "context?max_chars=17"))
    assert [each["content"] for each in shorter.json()["messages"]] == ["It is 20 degrees."]


async def test_other_messages_are_translated(alice: Caller) -> None:
    conversation = await started(
        alice,
        says("Be brief.", "system"),
        says("How warm is it?", metadata={"a": 1}),
        calls("a"),
        answers("a", "20"),
        says("20 degrees.", "assistant"),
    )
    expected = [
        ("system", [{"type": "text", "text": "Be brief."}]),
        ("user", [{"type": "text", "text": "How warm is it?"}]),
        (
            "assistant",
            [
                {
                    "type": "dynamic-tool",
                    "toolName": "look",
                    "toolCallId": "a",
                    "state": "output-available",
                    "input": {},
                    "output": "20",
                }
            ],
        ),
        ("assistant", [{"type": "text", "text": "20 degrees."}]),
    ]
    for order in ("asc", "desc"):
        page = await alice.get(at(conversation, f"messages?format=ai-sdk&order={order}"))
        found = page.json()["items"]
        found = found if order == "asc" else found[::-1]
        assert [(each["role"], each["parts"]) for each in found] == expected
        assert found[1]["metadata"] == {"a": 1}
    assert (await contexts(alice, conversation))["ai-sdk"] == found


async def test_pages_have_cursors(alice: Caller) -> None:
    documents = [user({"type": "text", "text": str(n)}) | {"id": f"m{n}"} for n in range(5)]
    conversation = await started(alice, *map(sends, documents))

    path = at(conversation, "messages?format=ai-sdk&limit=2")
    found: list[JsonObject] = []
    page = (await alice.get(path)).json()
    found += page["items"]
    while page["next_cursor"]:
        page = (await alice.get(f"{path}&cursor={page['next_cursor']}")).json()
        found += page["items"]

    assert found == documents


async def test_an_unknown_format_is_refused(alice: Caller) -> None:
    conversation = await started(alice)
    answer = await alice.get(at(conversation, "messages?format=openai"))
    assert reason(refused(answer, 422, "invalid-value", "format")) == "must be ai-sdk"


async def test_models_get_its_files(alice: Caller) -> None:
    conversation = await started(alice, sends(SAMPLES["a question with files"]))

    found = await contexts(alice, conversation)

    [message] = found["openai"]
    assert message["content"] == [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": PIXEL}},
        {"type": "file", "file": {"file_data": PDF["url"], "filename": "plan.pdf"}},
        {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
    ]
    [message] = found["anthropic"]
    assert [block["type"] for block in message["content"]] == ["text", "image", "document"]
    answer = (await alice.get(at(conversation, "context?format=anthropic"))).json()
    assert [each["type"] for each in answer["omitted"]] == ["input_audio"]
    assert found["ai-sdk"] == [SAMPLES["a question with files"]]


async def test_files_at_urls_are_parts_of_the_content_and_data_is_not_stored_twice(
    alice: Caller,
) -> None:
    image = {"type": "file", "mediaType": "image/png", "url": "https://example.com/a.png"}
    text = {"type": "text", "text": "Two"}
    conversation = await started(
        alice, sends(user(text, image, IMAGE)), sends(user(text, IMAGE) | {"id": "b"})
    )

    one, other = await listed(alice, at(conversation, "messages"))

    url = {"type": "image_url", "image_url": {"url": image["url"]}}
    assert one["content"] == [text, url]
    assert other["content"] == "Two"


async def test_other_messages_with_parts_are_translated(alice: Caller) -> None:
    given: list[JsonObject] = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "of tomorrow"},
    ]
    conversation = await started(alice, {"role": "user", "content": given})

    answer = (await alice.get(at(conversation, "context?format=ai-sdk"))).json()
    [message] = answer["messages"]

    assert message["parts"] == [
        given[0],
        {"type": "file", "mediaType": "image/png", "url": "https://example.com/a.png"},
    ]
    assert [(each["part"], each["type"]) for each in answer["omitted"]] == [
        (2, "file"),
        (3, "of tomorrow"),
    ]


@pytest.mark.parametrize(
    "message",
    [
        says("Hi", name="Ann"),
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "unknown"}]},
        calls("a", content="Let me look."),
        answers("a"),
    ],
)
async def test_a_message_of_openais_chat_api_can_be_sent_alone(
    alice: Caller, message: JsonObject
) -> None:
    conversation = await started(alice, {"format": "openai", "original": message})

    [found] = await listed(alice, at(conversation, "messages"), originals="true")

    assert found["original"] == message
    assert found == found | message


async def test_what_has_no_field_is_in_the_original_alone(alice: Caller) -> None:
    document = says(None, "assistant", refusal="No.")
    conversation = await started(alice, {"format": "openai", "original": document})

    [found] = await listed(alice, at(conversation, "messages"), originals="true")

    assert (found["content"], found["metadata"], found["original"]) == ("No.", {}, document)


@pytest.mark.parametrize(
    ("document", "field", "why"),
    [
        ([], "original", "must be an object"),
        ({"content": "a"}, "original.role", "is missing"),
        (says("a", "system", name=5), "original.name", "must be a string"),
        (calls("") | {"content": "a"}, "original.tool_calls[0].id", "must be a string"),
        (says("a", "robot"), "original.role", "not one of"),
    ],
)
async def test_a_wrong_message_of_it_is_refused_by_the_field_in_it(
    alice: Caller, document: object, field: str, why: str
) -> None:
    message = {"format": "openai", "original": document}
    created = await alice.post(CONVERSATIONS, json={"messages": [message]})
    assert why in reason(refused(created, 422, "invalid-value", f"messages[0].{field}"))


async def test_a_context_may_begin_with_one_and_has_its_tokens(alice: Caller) -> None:
    two_steps = SAMPLES["an answer in two steps"]
    conversation = await started(
        alice,
        sends(two_steps),
        sends(two_steps | {"id": "another"}, starts_context=True, tokens=7),
        sends(SAMPLES["a question"], tokens=3),
    )

    whole = (await alice.get(at(conversation, "context"))).json()
    fits = (await alice.get(at(conversation, "context?max_tokens=10"))).json()
    short = (await alice.get(at(conversation, "context?max_tokens=9"))).json()

    assert [each["role"] for each in whole["messages"]] == [
        *("assistant", "tool", "tool", "assistant"),
        "user",
    ]
    assert (whole["replaced"], whole["truncated"]) == (1, False)
    assert fits == whole
    assert [each["role"] for each in short["messages"]] == ["user"]
    assert short["truncated"] is True


async def test_an_answer_is_written_again_under_its_id(alice: Caller) -> None:
    its_id = an_id()
    asked = assistant(tool("approval-requested")) | {"id": its_id}
    done = assistant(tool("output-available"), TEXT) | {"id": its_id}
    conversation = await started(alice, sends(SAMPLES["a question"]), sends(asked), says("Thanks."))
    path = at(conversation, "messages", its_id)

    put = await alice.put(path, json=sends(done))

    assert (put.status_code, put.json()["content"]) == (200, TEXT["text"])
    page = (await alice.get(at(conversation, "messages?format=ai-sdk"))).json()["items"]
    assert [each["role"] for each in page] == ["user", "assistant", "user"]
    assert page[1] == done
    assert [each["role"] for each in (await contexts(alice, conversation))["openai"]] == [
        *("user", "assistant", "tool", "user")
    ]
    other = await alice.put(path, json=sends(done | {"id": an_id()}))
    refused(other, 422, "invalid-value", "id")


async def test_a_note_about_a_message_does_not_change_what_was_sent(alice: Caller) -> None:
    conversation = await started(alice, sends(SAMPLES["an answer"]))
    [stored] = await listed(alice, at(conversation, "messages"))
    path = at(conversation, "messages", stored["id"])

    patched = await alice.patch(path, json={"metadata": {"rating": 5}})

    assert patched.json()["metadata"] == {"totalTokens": 12, "model": "gpt", "rating": 5}
    assert (await alice.get(f"{path}?format=ai-sdk")).json() == SAMPLES["an answer"]


DEEP = "[" * 480 + "]" * 480
DIGITS = "9" * 4_000
CALL = '"type":"tool-a","toolCallId":"c","state"'
HOSTILE = {
    "a deep output": f'{{{CALL}:"output-available","output":{DEEP}}}',
    "a deep input": f'{{{CALL}:"output-denied","input":{DEEP}}}',
    "numbers": f'{{{CALL}:"output-available","input":[{DIGITS}],"output":[-0,1E400,{DIGITS}]}}',
    "many parts": ",".join(['{"type":"text","text":"a"}', '{"type":"step-start"}'] * 300),
    "a member twice": '{"type":"text","text":7,"text":"a","type":"text"}',
    "NUL": '{"type":"tool-a\\u0000","toolCallId":"\\u0000","state":"output-available"}',
    "one call twice": f'{{{CALL}:"output-available","output":1}},{{{CALL}:"output-denied"}}',
    "wrong types": '{"type":"file","mediaType":"","url":"","providerReference":{"openai":[]}},'
    f'{{{CALL}:"","approval":{{"reason":[]}},"output":[]}}',
    "another kind of URL": '{"type":"file","mediaType":"IMAGE/PNG","url":"DATA:,a"}',
}


@pytest.mark.parametrize("parts", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("role", ["user", "assistant", "system"])
async def test_a_hostile_message_comes_back_and_spoils_no_context(
    alice: Caller, role: str, parts: str
) -> None:
    text = f'{{"id":"m","role":"{role}","parts":[{parts}]}}'
    conversation = await started(alice, says("Hi"))
    body = f'{{"format": "ai-sdk", "original": {text}}}'
    path = at(conversation, "messages")
    sent = await alice.post(path, content=body.encode(), headers=JSON)
    assert sent.status_code == 201, sent.text

    page = await alice.get(f"{path}?format=ai-sdk")

    assert f",{text}]".encode() in page.content
    for form in ("openai", "anthropic", "ai-sdk"):
        context = await alice.get(at(conversation, f"context?format={form}"))
        assert context.status_code == 200
        assert len(context.json()["messages"]) >= 1


async def test_metadata_that_cannot_be_stored_is_refused(alice: Caller) -> None:
    conversation = await started(alice)
    text = '{"role":"user","parts":[],"metadata":{"n":1e999}}'
    body = f'{{"format": "ai-sdk", "original": {text}}}'
    path = at(conversation, "messages")
    sent = await alice.post(path, content=body.encode(), headers=JSON)
    refused(sent, 422, "invalid-value", "original.metadata")
    large = sends(user(TEXT, metadata={"a": "x" * 20_000}))
    refused(await alice.post(path, json=large), 422, "limit-exceeded", "original.metadata")


async def test_an_answer_can_be_generated_again(alice: Caller) -> None:
    question, answer = SAMPLES["a question"], SAMPLES["an answer"]
    again = SAMPLES["an answer in two steps"] | {"id": "again"}
    conversation = await started(alice, sends(question), sends(answer))
    path = at(conversation, "messages")

    sent = await alice.post(path, json={"after": question["id"], "messages": [sends(again)]})

    assert sent.status_code == 201, sent.text
    page = (await alice.get(f"{path}?format=ai-sdk")).json()["items"]
    assert page == [question, again]
    found = await contexts(alice, conversation)
    assert found["ai-sdk"] == page
    assert [each["role"] for each in found["openai"]] == [
        *("user", "assistant", "tool", "tool", "assistant")
    ]
    everything = (await alice.get(f"{path}?format=ai-sdk&branch=all")).json()["items"]
    assert everything == [question, answer, again]
