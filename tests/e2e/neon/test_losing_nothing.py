"""Whatever happens to the database: what was acknowledged is stored, once, in order."""

import asyncio
from random import Random
from uuid import uuid4

import pytest

from tests.e2e.neon.load import check, figures, write_during
from tests.e2e.neon.servers import Suspendable, Way
from tests.e2e.neon.service import AS_SERVICE, service
from tests.support.relay import Relay, once
from tests.support.service_process import some

ONCE_EACH: tuple[Way, ...] = ("fast", "immediate")
FIVE: tuple[Way, ...] = ("fast", "immediate", "fast", "immediate", "immediate")


@pytest.mark.parametrize("behind_a_proxy", some([False, True], every=2))
async def test_restarts_of_the_database_lose_nothing_and_show_no_error(
    suspendable: Suspendable,
    suspendable_url: str,
    full: bool,  # noqa: FBT001 - a fixture
    behind_a_proxy: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    async def restarts() -> None:
        for way in FIVE if full else ONCE_EACH:
            await asyncio.sleep(1 if full else 0.3)
            await suspendable.restart(way)
        await asyncio.sleep(0.3)

    async with (
        Relay(suspendable_url) as relay,
        service(relay.url() if behind_a_proxy else suspendable_url) as caller,
    ):
        ledger = await write_during(caller, restarts(), writers=12)

    await check(ledger, suspendable_url)
    figures.info("%s", ledger)
    assert ledger.total > 12  # how many more depends on the machine


async def test_a_connection_that_breaks_before_the_answer_comes_loses_and_doubles_nothing(
    relay: Relay,
    database_url: str,
    full: bool,  # noqa: FBT001 - a fixture
) -> None:
    dice = Random(7)
    cuts = 0

    def unlucky(request: bytes) -> bool:
        nonlocal cuts
        found = b"message " in request and dice.random() < 0.2
        cuts += found
        return found

    async def enough() -> None:
        await asyncio.sleep(5 if full else 1)
        while cuts <= 10:  # noqa: ASYNC110 - whenever a request comes, which nobody announces
            await asyncio.sleep(0.1)

    async with service(relay.url()) as caller:
        relay.cut_when(unlucky)
        ledger = await write_during(caller, enough(), writers=12)
        relay.cut_when(None)

    await check(ledger, database_url)
    figures.info("%d connections broken; %s", cuts, ledger)
    assert cuts > 10


async def test_a_message_sent_eight_times_at_once_is_stored_once_and_answered_the_same(
    database_url: str,
) -> None:
    async with service(database_url) as caller:
        conversation, message = await caller.start(), uuid4()

        answers = await asyncio.gather(
            *(caller.say(conversation, "hello", message=message) for _ in range(8))
        )
        other = await caller.say(conversation, "goodbye", message=message)
        history = await caller.call("GET", f"/v1/conversations/{conversation}/messages")

    assert [answer.status_code for answer in answers] == [201] * 8
    assert len({answer.text for answer in answers}) == 1
    assert other.status_code == 409
    assert [each["content"] for each in history.json()["items"]] == ["hello"]


async def test_a_message_with_an_id_of_the_service_is_stored_once_when_the_answer_is_lost(
    relay: Relay,
) -> None:
    async with service(relay.url()) as caller:
        conversation = await caller.start()
        relay.cut_when(once(lambda request: b"hello" in request))

        answer = await caller.call(
            "POST",
            f"/v1/conversations/{conversation}/messages",
            {"role": "user", "content": "hello"},
        )
        history = await caller.call("GET", f"/v1/conversations/{conversation}/messages")

    assert answer.status_code == 201
    assert [each["id"] for each in history.json()["items"]] == [answer.json()["messages"][0]["id"]]


async def test_a_conversation_is_created_once_and_said_to_be_new_when_the_answer_is_lost(
    relay: Relay,
) -> None:
    async with service(relay.url()) as caller:
        await caller.start()
        relay.cut_when(once(lambda request: b"Lunch" in request))
        created = await caller.call("POST", "/v1/conversations", {"title": "Lunch"})
        relay.cut_when(once(lambda request: b"Dinner" in request))
        put = await caller.call("PUT", f"/v1/conversations/{uuid4()}", {"title": "Dinner"})
        again = await caller.call("PUT", f"/v1/conversations/{put.json()['id']}")
        listed = await caller.list()

    assert [created.status_code, put.status_code, again.status_code] == [201, 201, 200]
    assert [each["title"] for each in listed.json()["items"]] == ["Dinner", "Lunch", None]


@pytest.mark.parametrize("what", ["message", "conversation", "user"])
async def test_a_deletion_whose_answer_is_lost_is_no_404(relay: Relay, what: str) -> None:
    async with service(relay.url()) as caller:
        conversation, message = await caller.start(), uuid4()
        await caller.say(conversation, "hello", message=message)
        path, headers = {
            "message": (f"/v1/conversations/{conversation}/messages/{message}", {}),
            "conversation": (f"/v1/conversations/{conversation}", {}),
            "user": ("/v1/users/alice", AS_SERVICE),
        }[what]
        relay.cut_when(once(lambda request: request[:1] == b"B"))

        answers = [await caller.http.delete(path, headers=headers) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [204, 404]
