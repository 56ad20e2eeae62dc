"""The audit: what operators ask for is written down, and GET /v1/audit lists it."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from chatkeep.domain.errors import StoreUnavailableError
from chatkeep.entrypoints.bootstrap.use_cases import memory_chatkeep
from chatkeep.entrypoints.settings import Settings, SettingsError
from tests.api.builders import paged, refused, started
from tests.support.application import SERVICE_KEY, Caller, Service, failing, serving, settings

ANNAS_KEY = "anna_0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="module")
async def service() -> AsyncIterator[Service]:
    async with serving(settings(operator_keys=(("Anna", ANNAS_KEY),))) as service:
        yield service


@pytest.fixture
def user(service: Service) -> Caller:
    return service.user(f"user {uuid4()}")


def operator(service: Service, user_id: str | None = None, name: str | None = None) -> Caller:
    """Return a caller with Anna's key, or with the service key and a name."""
    headers = {} if user_id is None else {"X-User-Id": user_id}
    if name is not None:
        headers |= {"Authorization": f"Bearer {SERVICE_KEY}", "X-Operator": name}
    else:
        headers["Authorization"] = f"Bearer {ANNAS_KEY}"
    return Caller(service.http, service.contract, headers)


async def lines(service: Service, user: Caller) -> list[tuple[Any, ...]]:
    """Return what the audit tells about a user, earliest first."""
    page = (await service.key().get("/v1/audit", params={"user": user.user_id})).json()
    assert all(line["user_id"] == user.user_id for line in page["items"])
    return [
        (line["operator"], line["action"], line["conversation_id"], line["message_id"])
        for line in reversed(page["items"])
    ]


@pytest.mark.parametrize("name", [None, "Zoë Ångström"])
async def test_whatever_an_operator_asks_about_a_user_is_written_down(
    service: Service, user: Caller, name: str | None
) -> None:
    chat = await started(user, messages=[{"role": "user", "content": "a secret", "id": "m/1"}])
    asking, who = operator(service, user.user_id, name), name or "Anna"
    path = f"/v1/conversations/{chat['id']}"

    await asking.get("/v1/conversations")
    await asking.get(f"{path}/messages")
    await asking.get(f"{path}/messages/m%2F1")
    await asking.get("/v1/search", params={"q": "secret"})
    await asking.patch(path, json={"retain": False})
    await asking.get(f"/openai/v1/conversations/{chat['id']}")

    assert await lines(service, user) == [
        (who, "listConversations", None, None),
        (who, "getHistory", chat["id"], None),
        (who, "getMessage", chat["id"], "m/1"),
        (who, "search", None, None),
        (who, "changeConversation", chat["id"], None),
        (who, "GET /openai/v1/conversations/{conversation_id}", chat["id"], None),
    ]


async def test_an_erasure_is_written_down_and_stays(service: Service, user: Caller) -> None:
    await started(user)
    path = f"/v1/users/{user.user_id}"

    assert (await operator(service).delete(path)).status_code == 204
    assert (await operator(service, "someone else").delete(path)).status_code == 404

    assert await lines(service, user) == [("Anna", "eraseUser", None, None)] * 2


async def test_what_is_not_found_was_asked_for_too(service: Service, user: Caller) -> None:
    asking = operator(service, user.user_id)

    await asking.get("/v1/conversations/nothing")
    refused(await asking.get("/v1/conversations/%00"), 422, "invalid-value", "conversation_id")

    assert await lines(service, user) == [
        ("Anna", "getConversation", "nothing", None),
        ("Anna", "getConversation", None, None),
    ]


async def test_requests_of_users_and_of_services_and_about_no_user_leave_no_line(
    service: Service, user: Caller
) -> None:
    await started(user)
    await service.key(user.user_id).get("/v1/conversations")
    await operator(service, user.user_id).get("/v1/users")
    await operator(service, user.user_id).get("/v1/audit")
    refused(await operator(service).get("/v1/conversations"), 400, "invalid-request")

    assert await lines(service, user) == []


async def test_without_a_line_there_is_no_answer() -> None:
    broken = failing(StoreUnavailableError("the database does not answer"))
    async with serving(settings(), broken) as service:
        asking = operator(service, "alice", "Anna")
        refused(await asking.get("/v1/conversations"), 503, "database-unavailable")
    audit = failing(StoreUnavailableError("the database does not answer")).audit

    async with serving(settings(), replace(memory_chatkeep(), audit=audit)) as service:
        assert (await service.key("alice").get("/v1/conversations")).status_code == 200
        asking = operator(service, "alice", "Anna")
        refused(await asking.get("/v1/conversations"), 503, "database-unavailable")


async def test_only_a_service_key_names_an_operator(service: Service, user: Caller) -> None:
    answer = await user.get("/v1/me", headers={"X-Operator": "Anna"})
    refused(answer, 403, "insufficient-scope")
    for name in ("", " ", "x" * 101, "a\tb"):
        answer = await service.key(user.user_id).get("/v1/me", headers={"X-Operator": name})
        refused(answer, 400, "invalid-request")

    assert await lines(service, user) == []


async def test_a_key_of_an_operator_tells_their_name_whatever_the_request_says(
    service: Service, user: Caller
) -> None:
    await operator(service, user.user_id).get("/v1/me", headers={"X-Operator": "Bob"})

    assert await lines(service, user) == [("Anna", "getUsage", None, None)]


async def test_the_list_has_pages_and_is_for_services_only(service: Service, user: Caller) -> None:
    for _ in range(5):
        await operator(service, user.user_id).get("/v1/me")

    pages = await paged(service.key(), "/v1/audit", user=user.user_id, limit=2)

    assert [len(page) for page in pages] == [2, 2, 1]
    times = [line["at"] for page in pages for line in page]
    assert times == sorted(times, reverse=True)
    refused(await user.get("/v1/audit"), 403, "insufficient-scope")


@pytest.mark.parametrize(
    ("parameters", "kind", "field"),
    [
        ({"user": ""}, "invalid-value", "user"),
        ({"user": "x" * 256}, "invalid-value", "user"),
        ({"limit": "101"}, "limit-exceeded", "limit"),
        ({"limit": "0"}, "invalid-value", "limit"),
        ({"cursor": "WzEsMl0"}, "invalid-value", "cursor"),
    ],
)
async def test_what_cannot_be_listed_is_refused(
    service: Service, parameters: dict[str, str], kind: str, field: str
) -> None:
    refused(await service.key().get("/v1/audit", params=parameters), 422, kind, field)


async def test_old_lines_are_forgotten() -> None:
    chatkeep = memory_chatkeep(audit_kept=timedelta(0))
    async with serving(settings(), chatkeep) as service:
        await operator(service, "alice", "Anna").get("/v1/me")

        assert await chatkeep.audit.forget() == 1
        assert (await service.key().get("/v1/audit")).json()["items"] == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (ANNAS_KEY, "a key has no name; write name:key"),
        (f":{ANNAS_KEY}", "the name before a colon is empty"),
        ("anna:short", "the key of anna: too short"),
    ],
)
def test_keys_of_operators_have_names(text: str, problem: str) -> None:
    with pytest.raises(SettingsError, match=problem) as raised:
        Settings.from_env({"CHATKEEP_OPERATOR_KEYS": text})

    assert ANNAS_KEY not in str(raised.value)


def test_an_operator_may_have_two_keys() -> None:
    found = Settings.from_env({"CHATKEEP_OPERATOR_KEYS": f"Anna:{ANNAS_KEY}, Anna:{ANNAS_KEY}2"})

    assert found.operator_keys == (("Anna", ANNAS_KEY), ("Anna", f"{ANNAS_KEY}2"))
