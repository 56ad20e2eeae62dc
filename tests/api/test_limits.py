"""Every limit at its edge, raised and switched off; the answer names it, the size, the setting."""

import json
from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

import pytest

from tests.api.builders import (
    CONVERSATIONS,
    an_id,
    at,
    calls,
    numbered,
    reason,
    refused,
    says,
    started,
)
from tests.support.application import Caller, serving, settings
from tests.support.json_schema import JsonObject

JSON = {"Content-Type": "application/json"}


def tool_calls_of(chars: int) -> JsonObject:
    """Return a message whose tool calls are a JSON text of so many characters."""
    message = calls("call_1", arguments="")
    size = len(json.dumps(message["tool_calls"], separators=(",", ":")))
    return calls("call_1", arguments="x" * (chars - size))


def metadata_of(bytes_: int, character: str = "x") -> JsonObject:
    """Return metadata of so many bytes as JSON, as many of them as possible in `character`."""
    left = bytes_ - len('{"k":""}')
    width = len(character.encode())
    return {"k": character * (left // width) + "x" * (left % width)}


class Limited(NamedTuple):
    """A field, its limit, and how to make a body with so much of it."""

    setting: str
    field: str
    limit: int
    unit: str
    of_size: Callable[[int], JsonObject]

    def exceeded(self, *, within: str = "") -> JsonObject:
        """Return the error about a field that is one over its limit."""
        return {
            "field": f"{within}{self.field}",
            "detail": f"has {self.limit + 1} {self.unit}; the limit is {self.limit}, "
            f"set by {self.setting}",
            "limit": self.limit,
            "actual": self.limit + 1,
            "setting": self.setting,
        }


MAX_USER, MAX_MESSAGE = "CHATKEEP_MAX_USER_MESSAGE_CHARS", "CHATKEEP_MAX_MESSAGE_CHARS"
MAX_METADATA, MAX_TITLE = "CHATKEEP_MAX_METADATA_BYTES", "CHATKEEP_MAX_TITLE_CHARS"
OF_MESSAGES = {
    "a question": Limited(MAX_USER, "content", 1_000, "characters", lambda size: says("😀" * size)),
    "an answer": Limited(
        MAX_MESSAGE, "content", 10_000, "characters", lambda size: says("é" * size, "assistant")
    ),
    "an instruction": Limited(
        MAX_MESSAGE, "content", 10_000, "characters", lambda size: says("\x00" * size, "system")
    ),
    "tool calls": Limited(MAX_MESSAGE, "tool_calls", 10_000, "characters", tool_calls_of),
    "metadata": Limited(
        MAX_METADATA,
        "metadata",
        16_384,
        "bytes",
        lambda size: says("a", metadata=metadata_of(size, "é")),
    ),
}
OF_CONVERSATIONS = {
    "title": Limited(MAX_TITLE, "title", 200, "characters", lambda size: {"title": "😀" * size}),
    "metadata": Limited(
        MAX_METADATA,
        "metadata",
        16_384,
        "bytes",
        lambda size: {"metadata": metadata_of(size, "😀")},
    ),
}
BATCH = Limited(
    "CHATKEEP_MAX_BATCH", "messages", 100, "messages", lambda size: {"messages": numbered(size)}
)
BODY = Limited("CHATKEEP_MAX_BODY_BYTES", "body", 1_048_576, "bytes", lambda _: {})


@pytest.mark.parametrize("limited", OF_MESSAGES.values(), ids=OF_MESSAGES)
async def test_a_message_may_be_as_large_as_its_limit(alice: Caller, limited: Limited) -> None:
    conversation = await started(alice)
    path = at(conversation, "messages")
    large, too_large = limited.of_size(limited.limit), limited.of_size(limited.limit + 1)

    assert (await alice.post(path, json=large)).status_code == 201
    alone = await alice.post(path, json=too_large)
    beside = await alice.post(path, json={"messages": [says("a"), too_large]})
    first = await alice.post(CONVERSATIONS, json={"messages": [says("a"), too_large]})

    problem = refused(alone, 422, "limit-exceeded", limited.field)
    assert problem["errors"] == [limited.exceeded()]
    for response in (beside, first):
        problem = refused(response, 422, "limit-exceeded", f"messages[1].{limited.field}")
        assert problem["errors"] == [limited.exceeded(within="messages[1].")]
    assert (await alice.get(at(conversation))).json()["message_count"] == 1


@pytest.mark.parametrize("limited", OF_CONVERSATIONS.values(), ids=OF_CONVERSATIONS)
async def test_a_conversation_may_say_as_much_as_its_limits(
    alice: Caller, limited: Limited
) -> None:
    large, too_large = limited.of_size(limited.limit), limited.of_size(limited.limit + 1)
    made = await started(alice)

    for method, path in (
        ("POST", CONVERSATIONS),
        ("PUT", f"{CONVERSATIONS}/{an_id()}"),
        ("PATCH", at(made)),
    ):
        assert (await alice.request(method, path, json=large)).is_success
        response = await alice.request(method, path, json=too_large)
        problem = refused(response, 422, "limit-exceeded", limited.field)
        assert problem["errors"] == [limited.exceeded()]


async def test_a_batch_may_have_as_many_messages_as_its_limit(alice: Caller) -> None:
    path = at(await started(alice), "messages")

    stored = await alice.post(path, json=BATCH.of_size(100))

    assert len(stored.json()["messages"]) == 100
    for each in (path, CONVERSATIONS):
        response = await alice.post(each, json=BATCH.of_size(101))
        problem = refused(response, 422, "limit-exceeded", "messages")
        assert problem["errors"] == [BATCH.exceeded()]


@pytest.mark.parametrize("parameter", ["list", "history", "context", "append"])
async def test_a_page_may_have_as_many_items_as_its_limit(alice: Caller, parameter: str) -> None:
    conversation = await started(alice)
    path, name = {
        "list": (CONVERSATIONS, "limit"),
        "history": (at(conversation, "messages"), "limit"),
        "context": (at(conversation, "context"), "limit"),
        "append": (at(conversation, "messages"), "context"),
    }[parameter]
    method, body = ("POST", says("a")) if parameter == "append" else ("GET", None)

    right = await alice.request(method, path, params={name: 100}, json=body)
    wrong = await alice.request(method, path, params={name: 101}, json=body)

    assert right.is_success
    problem = refused(wrong, 422, "limit-exceeded", name)
    assert reason(problem) == "asks for 101 items; the limit is 100, set by CHATKEEP_MAX_PAGE"
    assert problem["errors"][0] == problem["errors"][0] | {
        "limit": 100,
        "actual": 101,
        "setting": "CHATKEEP_MAX_PAGE",
    }


def body_of(size: int) -> bytes:
    return b"{}".ljust(size)


async def in_chunks(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 65_536):
        yield body[start : start + 65_536]


async def test_a_body_may_be_as_large_as_its_limit(alice: Caller) -> None:
    limit = BODY.limit

    for body in (body_of(limit), in_chunks(body_of(limit))):
        assert (await alice.post(CONVERSATIONS, content=body, headers=JSON)).status_code == 201
    announced = await alice.post(CONVERSATIONS, content=body_of(limit + 1), headers=JSON)
    chunked = await alice.post(CONVERSATIONS, content=in_chunks(body_of(limit + 1)), headers=JSON)

    error = BODY.exceeded()
    assert refused(announced, 413, "body-too-large", "body")["errors"] == [error]
    problem = refused(chunked, 413, "body-too-large", "body")
    del error["actual"]
    detail = "has more than 1048576 bytes; the limit is 1048576, set by CHATKEEP_MAX_BODY_BYTES"
    assert problem["errors"] == [error | {"detail": detail}]


async def test_a_body_that_is_announced_as_too_large_is_not_read(alice: Caller) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b"{"
        raise AssertionError("it was read on")

    response = await alice.post(
        CONVERSATIONS, content=endless(), headers=JSON | {"Content-Length": str(2**40)}
    )

    refused(response, 413, "body-too-large", "body")


async def test_every_route_bounds_its_body(alice: Caller) -> None:
    conversation = await started(alice)
    for method, path in (
        ("PUT", at(conversation)),
        ("PATCH", at(conversation)),
        ("POST", at(conversation, "messages")),
    ):
        response = await alice.request(method, path, content=body_of(1_048_577), headers=JSON)
        refused(response, 413, "body-too-large", "body")


async def test_limits_are_what_the_settings_say() -> None:
    small = settings(
        max_user_message_chars=3,
        max_message_chars=5,
        max_title_chars=2,
        max_metadata_bytes=9,
        max_batch=2,
        max_page=4,
        max_body_bytes=1_000,
    )
    async with serving(small) as service:
        alice = service.user("alice")
        conversation = await started(
            alice, says("abc"), says("abcde", "assistant"), title="ab", metadata={"k": "a"}
        )
        path = at(conversation, "messages")
        for response, name, limit in (
            (await alice.post(path, json=says("abcd")), "user_message_chars", 3),
            (
                await alice.post(path, json=says("abcdef", "tool", tool_call_id="c")),
                "message_chars",
                5,
            ),
            (await alice.patch(at(conversation), json={"title": "abc"}), "title_chars", 2),
            (
                await alice.patch(at(conversation), json={"metadata": {"k": "ab"}}),
                "metadata_bytes",
                9,
            ),
            (await alice.post(path, json={"messages": numbered(3)}), "batch", 2),
            (await alice.get(path, params={"limit": 5}), "page", 4),
            (
                await alice.put(at(conversation), content=body_of(1_001), headers=JSON),
                "body_bytes",
                1_000,
            ),
        ):
            [error] = response.json()["errors"]
            assert error["limit"] == limit
            assert error["actual"] == limit + 1
            assert error["setting"] == f"CHATKEEP_MAX_{name.upper()}"


async def test_zero_switches_a_limit_off() -> None:
    names = ("user_message_chars", "message_chars", "title_chars", "metadata_bytes", "batch")
    off = settings(**{f"max_{name}": 0 for name in (*names, "page", "body_bytes")})
    async with serving(off) as service:
        alice = service.user("alice")
        conversation = await started(
            alice,
            *numbered(150),
            says("u" * 1_200_000),
            tool_calls_of(200_000),
            title="t" * 10_000,
            metadata=metadata_of(200_000),
        )

        page = await alice.get(at(conversation, "messages"), params={"limit": 2**31 - 1})
        assert len(page.json()["items"]) == 152
        context = await alice.get(at(conversation, "context"), params={"limit": 2**31 - 1})
        assert len(context.json()["messages"]) == 151
        response = await alice.get(CONVERSATIONS, params={"limit": 2**31})
        refused(response, 422, "invalid-value", "limit")
