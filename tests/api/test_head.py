"""HEAD is answered as GET is, without the body, and without the work that only the body needs."""

import pytest

from tests.api.builders import SOME_ID, at, drafted, says, started
from tests.api.operations import call, native, somebody_for
from tests.api.test_export import counted
from tests.support.application import Caller, Service

# What each answer has of its own, and what only a whole body has.
OF_ONE = {"x-request-id", "transfer-encoding"}


async def check(caller: Caller, path: str) -> int:
    """Compare the two answers; return their status."""
    got, head = await caller.get(path), await caller.request("HEAD", path)
    assert head.content == b""
    assert head.status_code == got.status_code
    of_got, of_head = (
        {name: value for name, value in each.headers.items() if name not in OF_ONE}
        for each in (got, head)
    )
    assert of_head == of_got
    if "ndjson" not in got.headers["content-type"]:
        assert int(head.headers["content-length"]) == len(got.content)
    return int(got.status_code)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/health/live", 200),
        ("/health/ready", 200),
        ("/docs", 200),
        ("/docs/openapi.json", 200),
        ("/docs-assets/swagger-ui.css", 200),
        ("/", 200),
        ("/nowhere", 404),
        ("/v1/me", 401),
        ("/openai/v1/conversations", 401),
    ],
)
async def test_whoever_asks_without_a_token_may_ask_for_the_head(
    service: Service, path: str, status: int
) -> None:
    assert await check(service.nobody(), path) == status


async def test_the_head_of_the_metrics_is_one_too(service: Service) -> None:
    head = await service.nobody().request("HEAD", "/metrics")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"].startswith("text/plain")


async def test_every_operation_that_reads_has_a_head(service: Service, alice: Caller) -> None:
    conversation = await started(alice, says("Hello"))
    [message] = (await alice.get(at(conversation, "messages"))).json()["items"]
    draft = await drafted(alice, conversation)
    ids = {
        "conversation_id": conversation["id"],
        "message_id": message["id"],
        "draft_id": draft["id"],
    }
    reading = [each for each in native(service.contract) if each.method == "GET"]
    assert len(reading) >= 6
    for operation in reading:
        caller = somebody_for(operation, service, alice.user_id)
        path = (await call(operation, caller, ids)).url.raw_path.decode()
        assert await check(caller, path) == 200
    key = f"conv_{conversation['id'].replace('-', '')}"
    for path in (
        "",
        f"/{key}",
        f"/{key}/items",
        f"/{key}/items/msg_{message['id'].replace('-', '')}",
    ):
        assert await check(alice, f"/openai/v1/conversations{path}") == 200
    assert await check(alice, f"/v1/conversations/{SOME_ID}") == 404
    assert await check(alice, "/v1/conversations?limit=none") == 422


async def test_the_head_of_an_export_reads_no_more_than_its_beginning() -> None:
    async with counted() as (service, counting):
        head = await service.user().request("HEAD", "/v1/me/export")
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-type"] == "application/x-ndjson"
        assert counting.pages <= 2
        assert len((await service.user().get("/v1/me/export")).content) > 100_000
        assert counting.pages > 3


async def test_the_log_and_the_metrics_know_a_head_by_its_name(
    service: Service, alice: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "chatkeep.access")
    await alice.request("HEAD", "/v1/me")
    [line] = [each.getMessage() for each in caplog.records if each.name == "chatkeep.access"]
    assert " HEAD /v1/me 200 " in line
    assert not line.endswith("user=-")
    text = (await service.nobody().get("/metrics")).text
    assert 'method="HEAD",route="/v1/me",status="200"' in text
