"""Paths and methods that are not there, and a service that cannot serve: always a problem."""

import logging
import re
from dataclasses import replace

import httpx
import pytest

from chatkeep.domain.errors import ChatkeepError, StoreUnavailableError
from tests.api.builders import CONVERSATIONS, SOME_ID, an_id, at, refused, says, started
from tests.api.operations import call, native, somebody_for
from tests.support.application import Caller, failing, serving, settings


@pytest.mark.parametrize("segment", ["x", "null", "undefined", "0", "00000000"])
async def test_an_id_that_nobody_chose_names_nothing(alice: Caller, segment: str) -> None:
    conversation = await started(alice)
    for method, path in (
        ("GET", f"{CONVERSATIONS}/{segment}x"),
        ("PATCH", f"{CONVERSATIONS}/{segment}x"),
        ("DELETE", f"{CONVERSATIONS}/{segment}x"),
        ("POST", f"{CONVERSATIONS}/{segment}x/messages"),
        ("GET", f"{CONVERSATIONS}/{segment}x/messages"),
        ("GET", f"{CONVERSATIONS}/{segment}x/context"),
        ("GET", at(conversation, "messages", f"{segment}x")),
        ("DELETE", at(conversation, "messages", f"{segment}x")),
    ):
        body = says("a") if method == "POST" else {}
        problem = refused(await alice.request(method, path, json=body), 404, "not-found")
        assert f" {segment}x." in problem["detail"]


@pytest.mark.parametrize(
    "path", ["/v1", "/v2/conversations", "/v1/conversation", "/docs/x", "/docs-assets/x", "/x"]
)
async def test_an_unknown_path_leads_to_the_documentation(alice: Caller, path: str) -> None:
    assert "/docs" in refused(await alice.get(path), 404, "not-found")["detail"]


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        (CONVERSATIONS, "GET, HEAD, OPTIONS, POST"),
        (f"{CONVERSATIONS}/{SOME_ID}", "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"),
        (f"{CONVERSATIONS}/{SOME_ID}/messages", "DELETE, GET, HEAD, OPTIONS, POST, PUT"),
        (f"{CONVERSATIONS}/{SOME_ID}/messages/{SOME_ID}", "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"),
        (f"{CONVERSATIONS}/{SOME_ID}/context", "GET, HEAD, OPTIONS"),
        ("/v1/me", "DELETE, GET, HEAD, OPTIONS"),
        ("/v1/users/alice", "DELETE, OPTIONS, PUT"),
        ("/health/live", "GET, HEAD, OPTIONS"),
        ("/metrics", "GET, HEAD, OPTIONS"),
        ("/docs", "GET, HEAD, OPTIONS"),
        ("/", "GET, HEAD, OPTIONS"),
    ],
)
async def test_a_method_that_a_path_has_not_is_told_which_it_has(
    alice: Caller, path: str, allowed: str
) -> None:
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "FOO"} - set(
        allowed.split(", ")
    ):
        response = await alice.request(method, path)
        problem = refused(response, 405, "method-not-allowed")
        assert problem["detail"] == f"{method} is not allowed at this path, only {allowed}."
        assert response.headers["allow"] == allowed
    if "HEAD" not in allowed:
        head = await alice.request("HEAD", path)
        assert (head.status_code, head.headers["allow"], head.content) == (405, allowed, b"")
    options = await alice.request("OPTIONS", path)
    assert (options.status_code, options.headers["allow"]) == (204, allowed)


@pytest.mark.parametrize(
    ("name", "value"), [("Host", "a b"), ("Content-Length", "many"), ("Content-Length", "1e3")]
)
async def test_a_header_that_is_malformed_is_a_bad_request(
    alice: Caller, name: str, value: str
) -> None:
    refused(
        await alice.post(CONVERSATIONS, content=b"{}", headers={name: value}),
        400,
        "bad-request",
    )


async def answers_with(error: Exception) -> dict[str, httpx.Response]:
    """Return what each operation under /v1 answers when the store raises `error`."""
    ids = dict.fromkeys(("conversation_id", "draft_id", "message_id", "user_id"), an_id()) | {
        "number": "0"
    }
    async with serving(settings(), failing(error)) as service:
        return {
            operation.described["operationId"]: await call(
                operation, replace(somebody_for(operation, service), may_fail=True), ids
            )
            for operation in native(service.contract)
        }


async def test_a_database_that_is_away_is_no_fault_and_soon_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    error = StoreUnavailableError("The database is being restarted.", retry_after=7)

    for response in (await answers_with(error)).values():
        problem = refused(response, 503, "database-unavailable")
        assert problem["detail"] == "The database is being restarted."
        assert response.headers["retry-after"] == "7"

    assert [each for each in caplog.records if each.levelno >= logging.WARNING] == []


@pytest.mark.parametrize(
    "error",
    [RuntimeError("secret words"), KeyError("secret words"), ChatkeepError("secret words")],
    ids=repr,
)
async def test_an_unexpected_error_is_told_to_the_log_and_to_nobody_else(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    answers = await answers_with(error)

    for response in answers.values():
        problem = refused(response, 500, "internal-error")
        assert (
            problem["detail"] == "An unexpected error occurred; the operator's log has the details."
        )
        assert "secret" not in str(response.headers) + response.text
    records = [each for each in caplog.records if each.levelno >= logging.WARNING]
    assert len(records) == len(answers)
    for record in records:
        assert (record.name, record.levelname) == ("chatkeep.http", "ERROR")
        assert record.exc_info is not None
        assert record.exc_info[1] is error
        assert re.fullmatch(r"unexpected error in [A-Z]+ /v1/[a-z_/{}]+", record.getMessage())
