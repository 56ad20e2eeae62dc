"""Bodies that cannot be read, or hold what cannot be stored: refused, and never a fault of ours."""

import gzip
from collections.abc import Mapping
from typing import Any

import pytest

from tests.api.builders import CONVERSATIONS, an_id, at, reason, refused, started
from tests.support.application import Caller, Service, token
from tests.support.json_schema import JsonObject

JSON = {"Content-Type": "application/json"}
ROLES = "must be one of user, assistant, system, developer, tool"
HALF = "contains an unpaired surrogate"


def routes_with_a_body(conversation: JsonObject) -> list[tuple[str, str]]:
    return [
        ("POST", CONVERSATIONS),
        ("PUT", at(conversation)),
        ("PATCH", at(conversation)),
        ("POST", at(conversation, "messages")),
    ]


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"{", "The body is not JSON: it ends too early."),
        (b"  ", "The body is not JSON: it ends too early."),
        (b'{"title": "a', "The body is not JSON: it ends too early."),
        (b"{}{}", "The body is not JSON: trailing characters (byte 3)."),
        (b"{'title': 1}", "The body is not JSON: object keys must be strings (byte 1)."),
        (b'{"title": "a\nb"}', "The body is not JSON: invalid character (byte 12)."),
        (b'{"metadata": {"a": NaN}}', "The body is not JSON: invalid character (byte 19)."),
        (b'{"title": "\\ud83d', "The body is not JSON: it ends too early."),
        (b"\xef\xbb\xbf{}", "The body is not JSON: invalid character (byte 0)."),
        ('{"title": "é"}'.encode("utf-16"), "The body is not JSON: invalid character (byte 0)."),
        (b'{"title": "caf\xe9"}', "The body is not UTF-8: it contains the byte 0xe9."),
        (b'{"title": "\xed\xa0\x80"}', "The body is not UTF-8: it contains the byte 0xed."),
        (b'{"metadata": {"\xff": 1}}', "The body is not UTF-8: it contains the byte 0xff."),
    ],
)
async def test_what_is_no_json_is_malformed(alice: Caller, body: bytes, detail: str) -> None:
    response = await alice.post(CONVERSATIONS, content=body, headers=JSON)

    assert refused(response, 400, "malformed-body")["detail"] == detail


async def test_every_body_is_read_with_the_same_care(alice: Caller) -> None:
    for method, path in routes_with_a_body(await started(alice)):
        broken = await alice.request(method, path, content=b"{", headers=JSON)
        refused(broken, 400, "malformed-body")
        bad_text = await alice.request(method, path, content=b'{"x": "\xff"}', headers=JSON)
        assert bad_text.status_code in {400, 422}
        deep = b'{"metadata": ' + b'{"a":' * 5_000 + b"1" + b"}" * 5_001
        nested = await alice.request(method, path, content=deep, headers=JSON)
        refused(nested, 422, "invalid-value", "body")
        typed = await alice.request(
            method, path, content=b"{}", headers={"Content-Type": "text/plain"}
        )
        refused(typed, 415, "unsupported-media-type")
        if method != "PUT":
            empty = await alice.request(method, path, headers=JSON)
            problem = refused(empty, 422, "invalid-value", "body")
            assert reason(problem) == "is empty; send a JSON object"


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/msgpack",
        "x/application/json",
        "application/jsonx",
        "",
        ";",
    ],
)
async def test_what_is_not_sent_as_json_is_not_read(alice: Caller, content_type: str) -> None:
    response = await alice.post(
        CONVERSATIONS, content=b"{}", headers={"Content-Type": content_type}
    )

    problem = refused(response, 415, "unsupported-media-type")
    assert problem["detail"].endswith("send it as application/json.")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "application/json; charset=utf-8"},
        {"Content-Type": "APPLICATION/JSON"},
        {"Content-Type": "application/vnd.api+json"},
    ],
    ids=str,
)
async def test_json_goes_by_several_names(alice: Caller, headers: Mapping[str, str]) -> None:
    response = await alice.post(CONVERSATIONS, content=b"{}", headers=headers)

    assert response.status_code == 201


@pytest.mark.parametrize("encoding", ["gzip", "br", "GZIP", "identity, gzip", "x-unknown"])
async def test_an_encoded_body_is_refused_by_its_encoding(alice: Caller, encoding: str) -> None:
    body = gzip.compress(b"{}")
    for method, path in routes_with_a_body(await started(alice)):
        response = await alice.request(
            method, path, content=body, headers={**JSON, "Content-Encoding": encoding}
        )
        problem = refused(response, 415, "unsupported-content-encoding")
        assert f"Content-Encoding: {encoding}" in problem["detail"]
        assert response.headers["accept-encoding"] == "identity"

    response = await alice.post(
        "/openai/v1/conversations",
        content=body,
        headers={**JSON, "Content-Encoding": encoding},
    )
    assert response.status_code == 415
    assert f"Content-Encoding: {encoding}" in response.json()["error"]["message"]


@pytest.mark.parametrize("encoding", ["identity", "Identity", ""])
async def test_a_body_that_says_it_is_not_encoded_is_read(alice: Caller, encoding: str) -> None:
    response = await alice.post(
        CONVERSATIONS, content=b"{}", headers={**JSON, "Content-Encoding": encoding}
    )

    assert response.status_code == 201


SURROGATES = [
    (CONVERSATIONS, '{"title": "%s"}', "title"),
    (CONVERSATIONS, '{"metadata": {"%s": 1}}', "metadata"),
    (CONVERSATIONS, '{"metadata": {"a": {"b": [1, "%s"]}}}', "metadata.a.b[1]"),
    (CONVERSATIONS, '{"messages": [{"role": "user", "content": "%s"}]}', "messages[0].content"),
    (CONVERSATIONS, '{"%s": 1}', "body"),
    (CONVERSATIONS, '"%s"', "body"),
    ("messages", '{"role": "user", "content": "%s"}', "content"),
    ("messages", '{"role": "user", "content": "a", "name": "%s"}', "name"),
    ("messages", '{"role": "tool", "content": "a", "tool_call_id": "%s"}', "tool_call_id"),
    ("messages", '{"role": "user", "content": "a", "metadata": {"k": "%s"}}', "metadata.k"),
    (
        "messages",
        '{"messages": [{"role": "assistant", "tool_calls": [{"id": "%s"}]}]}',
        "messages[0].tool_calls[0].id",
    ),
    (
        "messages",
        '{"role": "assistant", "tool_calls": [{"function": {"arguments": "%s"}}]}',
        "tool_calls[0].function.arguments",
    ),
    ("messages", '{"role": "%s", "content": "a"}', "role"),
]


@pytest.mark.parametrize("half", [r"\ud800", r"\udfff", r"a\uDBFFb", r"\udc00\ud800", r"\ud800\n"])
@pytest.mark.parametrize(("path", "body", "field"), SURROGATES)
async def test_half_a_surrogate_pair_is_refused_where_it_stands(
    alice: Caller, path: str, body: str, field: str, half: str
) -> None:
    if path == "messages":
        path = at(await started(alice), path)

    response = await alice.post(path, content=(body % half).encode(), headers=JSON)

    # A body that must be an object, or a role, is wrong before its text is.
    assert reason(refused(response, 422, "invalid-value", field)) in {
        HALF,
        ROLES,
        "must be an object, not a string",
    }


@pytest.mark.parametrize(
    ("text", "is_half"),
    [
        (r"\ud83e\uddf5", False),
        (r"\\ud83e", False),
        (r"\n\ud83e\uddf5\ud83e\uddf5\u0041", False),
        (r"\ud83e", True),
        (r"\uDDF5", True),
        (r"\ud83e\n\uddf5", True),
        (r"\ud83e a\n", True),
        (r"\ud83e\ud83e\uddf5", True),
        (r"\\\ud83e", True),
    ],
)
async def test_half_a_surrogate_pair_is_refused_in_a_large_body_as_well(
    alice: Caller, text: str, *, is_half: bool
) -> None:
    body = f'{{"title": "{text}", "metadata": {{"a": "{"x" * 100_000}"}}}}'

    response = await alice.post(CONVERSATIONS, content=body, headers=JSON)

    if is_half:
        assert reason(refused(response, 422, "invalid-value", "body")) == HALF
    else:
        refused(response, 422, "limit-exceeded", "metadata")


@pytest.mark.parametrize("number", ["1e400", "-1e400", "1" * 5_000, '[0, {"a": 1e999}]'])
async def test_a_number_beyond_all_bounds_is_refused_where_it_stands(
    alice: Caller, number: str
) -> None:
    metadata = f'{{"metadata": {{"n": {number}}}}}'
    message = f'{{"messages": [{{"role": "user", "content": "a", "metadata": {{"n": {number}}}}}]}}'
    call = f'{{"role": "assistant", "tool_calls": [{{"id": {number}}}]}}'

    for path, body, field in (
        (CONVERSATIONS, metadata, "metadata"),
        (CONVERSATIONS, message, "messages[0].metadata"),
        (at(await started(alice), "messages"), call, "tool_calls[0]"),
    ):
        response = await alice.post(path, content=body, headers=JSON)
        problem = refused(response, 422, "invalid-value", field)
        assert reason(problem) == "contains a number that is out of range"


@pytest.mark.parametrize("depth", [10, 100, 500, 900])
async def test_what_is_nested_deeply_is_kept_or_refused_and_never_breaks(
    alice: Caller, depth: int
) -> None:
    value = "[" * depth + "1" + "]" * depth
    body = f'{{"id": "{an_id()}", "metadata": {{"a": {value}}}}}'

    first = await alice.post(CONVERSATIONS, content=body, headers=JSON)
    again = await alice.post(CONVERSATIONS, content=body, headers=JSON)
    other = await alice.post(CONVERSATIONS, content=body.replace("[1]", "[2]"), headers=JSON)

    assert first.status_code in {201, 422}
    assert again.content == first.content
    assert other.status_code in {409, 422}


async def test_a_client_that_leaves_while_it_sends_is_no_fault_of_ours(
    service: Service, alice: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    events = iter([{"type": "http.request", "body": b"{", "more_body": True}])
    sent: list[Any] = []

    async def receive() -> Any:  # noqa: ANN401 - ASGI's own
        return next(events, {"type": "http.disconnect"})

    async def send(message: Any) -> None:  # noqa: ANN401 - ASGI's own
        sent.append(message)

    scope: Any = {
        "type": "http",
        "method": "POST",
        "path": CONVERSATIONS,
        "raw_path": CONVERSATIONS.encode(),
        "query_string": b"",
        "headers": [(b"authorization", token(alice.user_id).encode())],
    }
    await service.app(scope, receive, send)

    assert sent[0]["status"] == 400
    assert caplog.records == []
