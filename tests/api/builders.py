"""What the tests say in one word: a message, a conversation, a refusal, all that a user has."""

from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx

from tests.support.application import Caller
from tests.support.json_schema import JsonObject

CONVERSATIONS = "/v1/conversations"
TEXTS = {
    "empty": "",
    "NUL": "\x00",
    "NULs among text": "\x00a\x00\x00b\x00",
    "a written NUL": "\\u0000 \\x00 \\0 %00",
    "control characters": "\x01\x07\x08\t\n\x0b\x0c\r\x1b\x1f\x7f\x80\x9f",
    "line ends": "a\r\nb\rc\n\u2028\u2029\u0085",
    "emoji": "😀👩‍👩‍👧‍👦🏳️‍🌈🇵🇹",
    "astral": "𝔘𐍈𝄞\U0010ffff",
    "noncharacters": "\ufdd0\ufffe\uffff\U0001fffe",
    "a byte order mark": "\ufeffa\ufeff",
    "right to left": "שלום עולם \u202eabc\u202c مرحبا",
    "composed and not": "é e\u0301 Å A\u030a \u212b ﬁ",
    "white space around": "  \t a \n ",
    "quotes": "' \" ` \\' \\\\ \\\" $$ --; /* */",
    "placeholders": "{} {{}} {0} %s %(a)s $1 :name ? @> ?|",
    "markup": "</script><script>alert(1)</script><!-- & &amp; -->",
    "JSON": '{"a": [null, "\\u0000"]}',
    "the word null": "null",
}


def says(content: str | None, role: str = "user", **fields: Any) -> JsonObject:  # noqa: ANN401
    return {"role": role, "content": content, **fields}


def calls(*ids: str, content: str | None = None, arguments: str = "{}") -> JsonObject:
    """Return an assistant's message that calls a tool for each id."""
    function = {"name": "look", "arguments": arguments}
    tool_calls = [{"id": each, "type": "function", "function": function} for each in ids]
    return says(content, "assistant", tool_calls=tool_calls)


def answers(call_id: str, content: str = "found") -> JsonObject:
    return says(content, "tool", tool_call_id=call_id)


def numbered(count: int) -> list[JsonObject]:
    return [says(f"message {number}") for number in range(count)]


# For tests that are named after it: their names are the same in every run.
SOME_ID = "5d0c8a3e-3f0b-4a6e-9a57-0f6f3c1f7c11"


def an_id() -> str:
    return str(uuid4())


def at(conversation: JsonObject, *more: str) -> str:
    """Return the path of a conversation, or of what is below it."""
    return "/".join([CONVERSATIONS, quote(conversation["id"], safe=""), *more])


async def started(
    caller: Caller,
    *messages: JsonObject,
    **fields: Any,  # noqa: ANN401 - of any kind
) -> JsonObject:
    """Create a conversation that opens with `messages`, and return it."""
    response = await caller.post(CONVERSATIONS, json={"messages": messages, **fields})
    assert response.status_code == 201, response.text
    return _object(response)


async def drafted(
    caller: Caller,
    conversation: JsonObject,
    *chunks: str,
    **fields: Any,  # noqa: ANN401 - of any kind
) -> JsonObject:
    """Start a draft, write chunks to it, and return it."""
    path = at(conversation, "drafts")
    response = await caller.post(path, json=fields)
    assert response.status_code == 201, response.text
    if chunks:
        body = {"epoch": 1, "seq": 1, "chunks": chunks}
        response = await caller.post(f"{path}/{response.json()['id']}/chunks", json=body)
        assert response.status_code == 200, response.text
    return _object(response)


async def appended(
    caller: Caller, conversation: JsonObject, *messages: JsonObject
) -> list[JsonObject]:
    response = await caller.post(at(conversation, "messages"), json={"messages": messages})
    assert response.status_code == 201, response.text
    found: list[JsonObject] = response.json()["messages"]
    return found


async def paged(caller: Caller, path: str, **parameters: object) -> list[list[JsonObject]]:
    """Return all pages of a list. Only the first request says what is asked for, besides limit."""
    pages = []
    limit = {"limit": parameters["limit"]} if "limit" in parameters else {}
    while True:
        page = _object(await caller.get(path, params=parameters))
        pages.append(page["items"])
        if page["next_cursor"] is None:
            return pages
        parameters = {**limit, "cursor": page["next_cursor"]}


async def listed(caller: Caller, path: str, **parameters: object) -> list[JsonObject]:
    return [each for page in await paged(caller, path, **parameters) for each in page]


async def exported(caller: Caller) -> list[bytes]:
    """Return everything that a user can read, byte for byte."""
    paths = ["/v1/me", CONVERSATIONS]
    for conversation in await listed(caller, CONVERSATIONS):
        history = at(conversation, "messages")
        messages = await listed(caller, history)
        paths += [
            at(conversation),
            history,
            at(conversation, "context"),
            at(conversation, "context?format=anthropic"),
            *(at(conversation, "messages", each["id"]) for each in messages),
        ]
    return [(await caller.get(path)).content for path in paths]


def refused(response: httpx.Response, status: int, kind: str, *fields: str) -> JsonObject:
    """Return the problem, which must be of this status and kind and name these fields."""
    assert response.status_code == status, response.text
    problem: JsonObject = response.json()
    assert problem["type"] == f"urn:chatkeep:problem:{kind}"
    assert [each["field"] for each in problem.get("errors", [])] == list(fields)
    return problem


def reason(problem: JsonObject) -> str:
    """Return why the one field is wrong."""
    [error] = problem["errors"]
    found: str = error["detail"]
    return found


def _object(response: httpx.Response) -> JsonObject:
    assert response.status_code < 500, response.text
    found: JsonObject = response.json()
    return found
