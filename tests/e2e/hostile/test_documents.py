"""JSON at its edges: what is accepted is stored as it is, what is not is refused by its field."""

import json
from typing import Any
from uuid import uuid4

import pytest

from tests.support.service_process import ServiceProcess, as_user

MESSAGE = b'{"role": "user", "content": "x", "metadata": %b}'
# Half of what an interpreter's stack allows, which is what the decoder goes by.
DEEPEST = 500


def nested(depth: int, opening: bytes, closing: bytes) -> bytes:
    return b'{"a": ' + opening * depth + b"1" + closing * depth + b"}"


@pytest.fixture
async def path(service: ServiceProcess, alice: str) -> str:
    path = f"/v1/conversations/{uuid4()}"
    await service.call("PUT", path, headers=as_user(alice))
    return path


async def post(service: ServiceProcess, path: str, user: str, body: bytes) -> tuple[int, Any]:
    headers = as_user(user) | {"Content-Type": "application/json"}
    answer = await service.http.post(f"{path}/messages", content=body, headers=headers)
    return answer.status_code, answer.json()


async def stored(service: ServiceProcess, path: str, user: str) -> list[Any]:
    page = await service.call("GET", f"{path}/messages?order=desc", headers=as_user(user))
    return [message["metadata"] for message in page["items"]]


@pytest.mark.parametrize(
    "number",
    [
        *("0", "-1", "0.1", "-0.5e-7", "1E2", "1e22", "1e300", "-1e308", "5e-324"),
        *("1.7976931348623157e308", "9007199254740993", "18446744073709551616"),
        *("-170141183460469231731687303715884105728", "1" * 4_300),
    ],
    ids=lambda number: number[:40],
)
async def test_numbers_come_back_with_their_value_and_kind(
    service: ServiceProcess, alice: str, path: str, number: str
) -> None:
    document = b'{"a": [%b, {"b": %b}], "text of one": "%b"}' % ((number.encode(),) * 3)
    status, answer = await post(service, path, alice, MESSAGE % document)
    assert status == 201

    [found] = await stored(service, path, alice)

    assert found == json.loads(document) == answer["messages"][0]["metadata"]
    assert type(found["a"][0]) is type(json.loads(number))


@pytest.mark.parametrize("number", ["1e309", "-1e309", "1e1000000000", "1" * 4_301])
async def test_a_number_that_no_program_could_read_is_refused(
    service: ServiceProcess, alice: str, path: str, number: str
) -> None:
    status, problem = await post(service, path, alice, MESSAGE % (b'{"a": %b}' % number.encode()))
    assert status == 422
    assert [each["field"] for each in problem["errors"]] == ["metadata"]


@pytest.mark.parametrize(
    "original",
    [
        *(b"1e309", b"-1e1000000000", b"1" * 4_300, b"-0", b"1.10", b'"\\ud83e\\uddf5\\u0000"'),
        *(b'{"a": 1, "a": {"b": 1, "b": 2}}', b'{"__proto__": {"role": "user"}}', b'{"": []}'),
        *(
            '"\ufdd0 \ufdd00 \uffff"'.encode(),
            b'"\x7f\\/\\u0061"',
            b"[ ]",
            b"[%b0]" % (b"0," * 250_000),
        ),
        *(b"[%b[]]" % (b"[]," * 250_000), b'["%b"]' % (b"\\n" * 400_000)),
        *(nested(DEEPEST - 1, b"[", b"]"), nested(DEEPEST - 1, b'{"a":', b"}")),
    ],
    ids=lambda original: repr(original)[:40],
)
async def test_an_original_is_kept_byte_for_byte_whatever_is_in_it(
    service: ServiceProcess, alice: str, path: str, original: bytes
) -> None:
    message = b'{"role": "user", "content": "x", "id": "%b", "format": "f", "original": %b}'
    body = message % (str(uuid4()).encode(), original)
    for _ in range(2):
        status, answer = await post(service, path, alice, body)
        assert status == 201, answer

    answer = await service.http.get(f"{path}/messages?originals=true", headers=as_user(alice))

    assert answer.status_code == 200
    assert answer.content.count(b'"original":%b}' % original) == 1


@pytest.mark.parametrize(
    ("original", "status", "field"),
    [
        *((number, 400, None) for number in (b"NaN", b"Infinity", b"01", b"1.", b".5", b"+1")),
        *(
            (text, 400, None)
            for text in (b'"\xff"', b'"\xed\xa0\x80"', b'"\x00"', b"'a'", b'"a', b"")
        ),
        *((nested(depth, b"[", b"]"), 422, None) for depth in (DEEPEST, 900, 960, 2_000, 100_000)),
        (b'{"a": ["\\ud800"]}', 422, "original.a[0]"),
        (b'"\\udc00\\ud800"', 422, "original"),
    ],
    ids=lambda value: repr(value)[:40] if isinstance(value, bytes) else "",
)
async def test_an_original_that_could_not_be_read_again_is_refused(  # noqa: PLR0913, PLR0917 - fixtures too
    service: ServiceProcess, alice: str, path: str, original: bytes, status: int, field: str | None
) -> None:
    message = b'{"role": "user", "content": "x", "format": "f", "original": %b}'
    found, problem = await post(service, path, alice, message % original)
    assert found == status
    if field is not None:
        assert [each["field"] for each in problem["errors"]] == [field]
    assert await stored(service, path, alice) == []


@pytest.mark.parametrize("number", ["NaN", "Infinity", "01", "1.", ".5", "+1", "0x1", "1_0", "--1"])
async def test_what_is_no_json_number_is_no_json(
    service: ServiceProcess, alice: str, path: str, number: str
) -> None:
    status, problem = await post(service, path, alice, MESSAGE % (b'{"a": %b}' % number.encode()))
    assert (status, problem["type"]) == (400, "urn:chatkeep:problem:malformed-body")


async def test_a_limit_counts_numbers_as_they_are_written_when_read(
    service: ServiceProcess, alice: str, path: str
) -> None:
    many = b'{"a": [%b]}' % b",".join([b"1e308"] * 1_000)
    assert len(many) < 16_384

    status, problem = await post(service, path, alice, MESSAGE % many)

    assert (status, problem["type"]) == (422, "urn:chatkeep:problem:limit-exceeded")
    assert problem["errors"][0]["actual"] > 300_000


async def test_of_a_key_that_comes_twice_the_last_value_counts(
    service: ServiceProcess, alice: str, path: str
) -> None:
    body = b'{"role": "tool", "role": "user", "content": "a", "content": "b", "metadata": %b}'
    status, answer = await post(service, path, alice, body % b'{"a": 1, "a": {"b": 1, "b": 2}}')
    assert status == 201
    message = answer["messages"][0]
    assert (message["role"], message["content"]) == ("user", "b")
    assert await stored(service, path, alice) == [{"a": {"b": 2}}]


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
async def test_deep_documents_are_kept_and_can_be_sent_again_or_are_refused(
    service: ServiceProcess, alice: str, path: str, opening: bytes, closing: bytes
) -> None:
    for depth in (1, 100, DEEPEST - 1):
        document = nested(depth, opening, closing)
        body = MESSAGE[:-1] + b', "id": "%b"}' % str(uuid4()).encode()
        for _ in range(2):
            status, answer = await post(service, path, alice, body % document)
            assert status == 201, answer
        assert (await stored(service, path, alice))[0] == json.loads(document)
    # Whatever the depth, it is one answer or the other: never an error of ours.
    for depth in (DEEPEST, 900, *range(940, 1_000, 5), 2_000, 100_000):
        for _ in range(2):
            status, problem = await post(
                service, path, alice, MESSAGE % nested(depth, opening, closing)
            )
            assert status == 422
            assert problem["errors"][0]["field"] in {"metadata", "body"}
            assert "deep" in problem["detail"]


async def test_deep_tool_calls_of_a_batch_are_refused_by_their_place(
    service: ServiceProcess, alice: str, path: str
) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    deep = json.dumps(call).encode()[:-1] + b', "more": %b}' % nested(DEEPEST, b"[", b"]")
    batch = b'{"messages": [{"role": "user", "content": "x"}, {"role": "assistant", %b}]}'

    status, problem = await post(service, path, alice, batch % (b'"tool_calls": [%b]' % deep))
    assert status == 422
    assert [each["field"] for each in problem["errors"]] == ["messages[1].tool_calls"]

    metadata = b'"content": "x", "metadata": %b' % nested(DEEPEST, b"[", b"]")
    status, problem = await post(service, path, alice, batch % metadata)
    assert status == 422
    assert [each["field"] for each in problem["errors"]] == ["messages[1].metadata"]


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (b"", 422, "body"),
        (b"null", 422, "body"),
        (b"[]", 422, "body"),
        (b'"text"', 422, "body"),
        (b"{}", 422, "role"),
        (b'{"messages": []}', 422, "messages"),
        (b'{"messages": [%b1]}' % (b"1," * 250_000), 422, "messages[0]"),
        (b'{"messages": [%b{}]}' % (b"{}," * 50_000), 422, "messages"),
        (b'{"messages": [%b{}]}' % (b"{}," * 50), 422, "messages[0].role"),
        (b'{"messages": {}}', 422, "messages"),
        (b'{"role": 1}', 422, "role"),
        (b'{"role": "%b"}' % (b"x" * 100_000), 422, "role"),
        (b'{"role": "user", "content": 1}', 422, "content"),
        (b'{"role": "user", "content": ["x"]}', 422, "content[0]"),
        (b'{"role": "user"}', 422, "content"),
        (b'{"role": "user", "content": "x", "id": "%b"}' % (b"1" * 100_000), 422, "id"),
        (b'{"role": "user", "content": "x", "metadata": []}', 422, "metadata"),
        (b'{"role": "user", "content": "x", "name": "%b"}' % (b"n" * 256), 422, "name"),
        (b'{"role": "user", "content": "x", "created_at": 1}', 422, "created_at"),
        (b'{"role": "user", "content": "%b"}' % (b"x" * 1_001), 422, "content"),
        (b'{"role": "tool", "content": "x"}', 422, "tool_call_id"),
        (b'{"role": "user", "content": "x", "tool_calls": []}', 422, "tool_calls"),
        (b'{"__proto__": {"role": "user"}}', 422, "__proto__"),
        (b"\xef\xbb\xbf{}", 400, None),
        (b"{", 400, None),
        (b"{}{}", 400, None),
        (b"{'role': 'user'}", 400, None),
        (b'{"role": "user", "content": "\xff\xfe"}', 400, None),
        (b'{"role": "user", "content": "\xc0\x80"}', 400, None),
        (b'{"role": "user", "content": "\xed\xa0\x80"}', 400, None),
        (b'{"role": "user", "content": "\xf4\x90\x80\x80"}', 400, None),
        (b'{"role": "user", "content": "a\x00b"}', 400, None),
        ('{"role": "user"}'.encode("utf-16"), 400, None),
        ('{"role": "user"}'.encode("utf-32"), 400, None),
        (b"\x1f\x8b\x08\x00" + b"\x00" * 20, 400, None),
    ],
    ids=lambda value: repr(value)[:40] if isinstance(value, bytes) else "",
)
async def test_what_is_refused_is_told_by_its_field(  # noqa: PLR0913, PLR0917 - fixtures too
    service: ServiceProcess, alice: str, path: str, body: bytes, status: int, field: str | None
) -> None:
    found, problem = await post(service, path, alice, body)
    assert (found, [each["field"] for each in problem.get("errors", [])][:1]) == (
        status,
        [] if field is None else [field],
    )
    assert await stored(service, path, alice) == []


@pytest.mark.parametrize(
    "media_type",
    [
        *("text/plain", "text/json", "application/x-www-form-urlencoded", "multipart/form-data"),
        *("application/xml", "application/jsonp", "json", "", ";", "*/*", "application/msgpack"),
    ],
)
async def test_a_body_that_is_not_said_to_be_json_is_not_read_as_json(
    service: ServiceProcess, alice: str, path: str, media_type: str
) -> None:
    headers = as_user(alice) | {"Content-Type": media_type}
    answer = await service.http.post(
        f"{path}/messages", content=b'{"role": "user", "content": "x"}', headers=headers
    )
    assert answer.status_code == 415
    assert await stored(service, path, alice) == []
