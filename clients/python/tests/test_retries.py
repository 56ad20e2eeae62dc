"""When a request is sent again: with answers made up for it."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import httpx
import pytest

from chatkeep_client import AsyncChatkeep, Chatkeep, errors
from chatkeep_client._async import draft_bodies as async_bodies
from chatkeep_client._sync import draft_bodies as sync_bodies

Answer = httpx.Response | Exception
URN = "urn:chatkeep:problem:"


def problem(status: int, code: str, **headers: str) -> httpx.Response:
    body = {"type": URN + code, "title": code, "status": status, "detail": f"It is {code}."}
    return httpx.Response(
        status, json=body, headers={name.replace("_", "-"): text for name, text in headers.items()}
    )


def appended() -> httpx.Response:
    return httpx.Response(201, json={"messages": []}, headers={"ETag": '"2"'})


def conversation() -> httpx.Response:
    return httpx.Response(
        200,
        json={
            "id": "c",
            "title": None,
            "status": "active",
            "metadata": {},
            "message_count": 0,
            "created_at": "2026-11-28T00:00:00Z",
            "updated_at": "2026-11-28T00:00:00Z",
            "retain": False,
            "revision": 1,
        },
    )


LOST = httpx.ReadError("the connection was reset")
REFUSED = httpx.ConnectError("refused")
OVERLOADED = problem(503, "overloaded", Retry_After="0")
NO_DATABASE = problem(503, "database-unavailable")


class Service:
    """Answers with each of these in turn. `waits` are the pauses between the attempts."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.waits: list[float] = []

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(
            answer.status_code, headers=answer.headers, content=answer.content, request=request
        )


def call(
    monkeypatch: pytest.MonkeyPatch,
    service: Service,
    do: Callable[[Any], Any],
    *,
    is_async: bool,
    **options: Any,
) -> Any:
    """Return what a call returns, without pauses."""
    transport = httpx.MockTransport(service.handle)
    given = {"token": "t", **options}

    async def pause(seconds: float) -> None:
        service.waits.append(seconds)

    async def run() -> Any:
        async with httpx.AsyncClient(transport=transport) as http:
            return await do(AsyncChatkeep("http://chatkeep/base", http=http, **given))

    if is_async:
        monkeypatch.setattr(asyncio, "sleep", pause)
        return asyncio.run(run())
    monkeypatch.setattr(time, "sleep", service.waits.append)
    with httpx.Client(transport=transport) as http:
        return do(Chatkeep("http://chatkeep/base", http=http, **given))


@pytest.fixture(params=[True, False], ids=["async", "sync"])
def run(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    def run_it(service: Service, do: Callable[[Any], Any], **options: Any) -> Any:
        return call(monkeypatch, service, do, is_async=request.param, **options)

    return run_it


Run = Callable[..., Any]
HI = {"role": "user", "content": "Hi"}


@pytest.mark.parametrize(
    "failure",
    [
        *(LOST, REFUSED, httpx.ReadTimeout("slow"), OVERLOADED, NO_DATABASE),
        *(problem(429, "too-many-requests"), httpx.Response(502, text="<html>")),
        httpx.Response(504),
    ],
    ids=repr,
)
def test_an_append_is_sent_again_with_the_same_id(run: Run, failure: Answer) -> None:
    service = Service(failure, failure, appended())
    done = run(service, lambda client: client.append_messages("c", [HI, HI]))
    assert done.revision == 2
    assert len(service.requests) == 3
    [body] = {request.content for request in service.requests}
    first, second = json.loads(body)["messages"]
    assert first["id"][14] == "7"
    assert "id" not in second


@pytest.mark.parametrize(
    ("messages", "ids"),
    [
        ([HI, {**HI, "id": "mine"}], [None, "mine"]),
        ([{"format": "ai-sdk", "original": {"id": "x"}}, HI], [None, "made"]),
        ([{"format": "ai-sdk", "original": {"id": "x"}}], [None]),
    ],
)
def test_an_id_is_made_only_where_there_is_none(
    run: Run, messages: Sequence[Any], ids: list[str | None]
) -> None:
    service = Service(appended())
    run(service, lambda client: client.append_messages("c", messages))
    [request] = service.requests
    sent = [each.get("id") for each in json.loads(request.content)["messages"]]
    assert [each if each in {None, "mine"} else "made" for each in sent] == ids
    assert ("idempotency-key" in request.headers) == (not any(ids))


def written(next_: int) -> httpx.Response:
    draft = {
        "id": "d",
        "conversation_id": "c",
        "status": "active",
        "epoch": 1,
        "next": next_,
        "message_id": "d",
        "format": "text",
        "metadata": {},
        "lease": 60,
        "started_at": "2026-11-28T00:00:00Z",
        "progress_at": "2026-11-28T00:00:00Z",
    }
    return httpx.Response(200, json={"draft": draft, "message": None})


def test_a_long_body_goes_on_behind_what_is_stored(run: Run) -> None:
    async def each() -> AsyncIterator[str]:
        for piece in ("a", "b", "c"):
            yield piece

    def stream(client: Any) -> Any:
        pieces = each() if isinstance(client, AsyncChatkeep) else iter("abc")
        return client.stream_draft("c", "d", pieces, epoch=1, seq=4)

    ended_early = written(6)  # a service that stops answers before the end
    answers = (OVERLOADED, written(4), LOST, written(5), ended_early, NO_DATABASE, written(6))
    service = Service(*answers, written(6), written(7))
    assert run(service, stream).draft.next == 7
    sent = [(request.url.params.get("seq"), request.content) for request in service.requests]
    assert sent == [
        ("4", b'"a"\n"b"\n"c"\n'),
        (None, b""),
        ("4", b'"a"\n"b"\n"c"\n'),
        (None, b""),
        ("5", b'"b"\n"c"\n'),
        ("6", b'"c"\n'),
        (None, b""),
        ("6", b'"c"\n'),
        ("6", b'"c"\n'),
    ]
    assert {request.headers["content-type"] for request in service.requests} == {
        "application/x-ndjson"
    }
    failing = Service(LOST, written(4), LOST, written(4), LOST)
    with pytest.raises(errors.ConnectionFailedError):
        run(failing, stream, max_retries=2)


def test_a_body_ends_in_time_and_another_one_goes_on(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for bodies in (async_bodies, sync_bodies):
        monkeypatch.setattr(bodies, "BYTES", 1)

    async def each() -> AsyncIterator[str]:
        yield "a"
        yield "b"

    def stream(client: Any) -> Any:
        pieces = each() if isinstance(client, AsyncChatkeep) else iter("ab")
        return client.stream_draft("c", "d", pieces, epoch=1, seq=1, finish=True)

    finished = httpx.Response(200, content=written(3).content, headers={"ETag": '"5"'})
    service = Service(written(2), written(3), written(3), finished)
    assert run(service, stream).revision == 5
    assert [request.content for request in service.requests[:2]] == [b'"a"\n', b'"b"\n']
    assert service.requests[-1].url.path.endswith("/finish")


def test_pauses_grow_and_differ(run: Run) -> None:
    service = Service(*[LOST] * 8)
    with pytest.raises(errors.ConnectionFailedError) as failed:
        run(service, lambda client: client.get_usage(), max_retries=7)
    assert failed.value.may_be_done
    assert isinstance(failed.value.__cause__, httpx.ReadError)
    for wait, longest in zip(service.waits, [0.25, 0.5, 1, 2, 4, 8, 8], strict=True):
        assert longest / 2 <= wait <= longest


def test_retry_after_is_honoured(run: Run) -> None:
    service = Service(problem(429, "too-many-requests", Retry_After="17"), conversation())
    run(service, lambda client: client.get_conversation("c"))
    assert service.waits[0] >= 17


def test_a_long_retry_after_is_an_error_at_once(run: Run) -> None:
    service = Service(problem(429, "too-many-requests", Retry_After="3600"))
    with pytest.raises(errors.TooManyRequestsError) as refused:
        run(service, lambda client: client.get_conversation("c"))
    assert refused.value.retry_after == 3600
    assert service.waits == []


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 412, 413, 414, 422, 500])
def test_other_errors_are_final(run: Run, status: int) -> None:
    service = Service(problem(status, "some-kind"))
    with pytest.raises(errors.ProblemError) as refused:
        run(service, lambda client: client.get_conversation("c"))
    assert (refused.value.status, refused.value.code) == (status, "some-kind")
    assert str(refused.value) == "It is some-kind."


@pytest.mark.parametrize(
    "do",
    [
        lambda client: client.change_conversation("c", title="t", expected_revision=1),
        lambda client: client.get_or_create_conversation("c", must_be_new=True),
        lambda client: client.change_branch("c", 1, name="n", expected_revision=1),
        lambda client: client.truncate_messages("c", start="m"),
    ],
    ids=["change", "create", "branch", "truncate"],
)
def test_what_is_not_safe_is_sent_again_only_if_it_was_refused(
    run: Run, do: Callable[[Any], Any]
) -> None:
    for failure, error in (
        (LOST, errors.ConnectionFailedError),
        (NO_DATABASE, errors.ProblemError),
    ):
        service = Service(failure)
        with pytest.raises(error):
            run(service, do)
    service = Service(REFUSED, OVERLOADED, problem(404, "not-found"))
    with pytest.raises(errors.NotFoundError):
        run(service, do)
    assert len(service.requests) == 3


def test_a_deletion_whose_answer_was_lost_succeeds(run: Run) -> None:
    gone = problem(404, "not-found")
    for do in (
        lambda client: client.delete_conversation("c"),
        lambda client: client.delete_message("c", "m"),
        lambda client: client.delete_branch("c", 1),
        lambda client: client.erase_user("u"),
    ):
        assert run(Service(LOST, gone), do) is None
        with pytest.raises(errors.NotFoundError):
            run(Service(REFUSED, gone), do)


def test_probes_are_not_sent_again(run: Run) -> None:
    assert run(Service(REFUSED), lambda client: client.is_live()) is False
    assert run(Service(NO_DATABASE), lambda client: client.is_ready()) is False
    ready = httpx.Response(200, json={"status": "ready"})
    assert run(Service(ready), lambda client: client.is_ready()) is True


def test_a_token_is_asked_for_each_attempt(run: Run) -> None:
    tokens = iter(["first", "second"])
    service = Service(REFUSED, conversation())
    run(service, lambda client: client.get_conversation("c"), token=lambda: next(tokens))
    sent = [request.headers["authorization"] for request in service.requests]
    assert sent == ["Bearer first", "Bearer second"]
    assert str(service.requests[0].url) == "http://chatkeep/base/v1/conversations/c"


async def test_a_token_may_be_awaited() -> None:
    async def token() -> str:
        return "later"

    service = Service(conversation())
    async with httpx.AsyncClient(transport=httpx.MockTransport(service.handle)) as http:
        await AsyncChatkeep("http://chatkeep", token=token, http=http).get_conversation("c")
    assert service.requests[0].headers["authorization"] == "Bearer later"


@pytest.mark.parametrize(
    "answer", [httpx.Response(200, text="<html>"), httpx.Response(200, json=1)]
)
def test_another_services_answer_is_named(run: Run, answer: httpx.Response) -> None:
    with pytest.raises(errors.UnexpectedAnswerError, match="http://chatkeep/base/v1/me"):
        run(Service(answer), lambda client: client.get_usage())


def test_a_proxys_error_is_a_problem_without_a_code(run: Run) -> None:
    page = httpx.Response(403, text="<h1>Forbidden</h1>")
    with pytest.raises(errors.ForbiddenError) as refused:
        run(Service(page), lambda client: client.get_usage())
    assert refused.value.code == ""
    assert "Forbidden" in str(refused.value)


def test_an_export_that_ends_early_is_an_error(run: Run) -> None:
    async def read_async(client: AsyncChatkeep) -> list[bytes]:
        return [line async for line in client.export_me()]

    def read(client: Any) -> Any:
        return read_async(client) if isinstance(client, AsyncChatkeep) else [*client.export_me()]

    assert run(Service(httpx.Response(200, content=b'{"a":1}\n{}\n')), read) == [b'{"a":1}', b"{}"]
    assert run(Service(LOST, NO_DATABASE, httpx.Response(200)), read) == []
    with pytest.raises(errors.IncompleteExportError):
        run(Service(httpx.Response(200, content=b'{"a":1}\n{}')), read)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"token": "t", "service_key": "k"},
        {"token": "t", "user": "alice"},
        {"token": "t", "operator": "Anna"},
    ],
)
def test_who_calls_must_be_clear(options: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="service_key"):
        Chatkeep("http://chatkeep", **options)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="begin with http"):
        Chatkeep("chatkeep:8000", token="t")


def test_only_service_keys_act_for_others() -> None:
    client = Chatkeep("http://chatkeep", token=lambda: "t")
    with client, pytest.raises(ValueError, match="needs a `service_key`"):
        client.as_user("alice")
