"""Drafts keep each chunk once and leave one message, although answers are lost and calls race."""

import asyncio
from collections.abc import AsyncIterator, Callable
from random import Random
from typing import Any
from uuid import UUID

import pytest

from tests.e2e.neon.service import ChatBackend, service
from tests.support.relay import Relay, Unlucky, once
from tests.support.service_process import some
from tests.support.waiting import until

PRODUCERS = 4


class Producer:
    """Writes an answer into a conversation, and knows what it has written."""

    def __init__(self, caller: ChatBackend, dice: Random) -> None:
        self.caller = caller
        self.dice = dice
        self.path = ""
        self.texts: list[str] = []
        self.epoch = 1

    async def start(self, conversation_id: UUID | None = None, **fields: object) -> "Producer":
        conversation = f"/v1/conversations/{conversation_id or await self.caller.start()}"
        self.path = f"{conversation}/drafts/answer"
        body = {"id": "answer", **fields}
        answer = await self.caller.call("POST", f"{conversation}/drafts", body)
        assert answer.status_code == 201, answer.text
        assert answer.json()["epoch"] == 1
        return self

    async def write(self, count: int) -> None:
        new = [f"{len(self.texts) + n} " for n in range(count)]
        # Sometimes chunks that are stored already are sent again.
        before = self.dice.randrange(min(3, len(self.texts) + 1))
        texts = [*self.texts[len(self.texts) - before :], *new]
        seq = len(self.texts) - before + 1
        answer = await self.send("chunks", epoch=self.epoch, seq=seq, chunks=texts)
        self.texts += new
        assert answer["next"] == len(self.texts) + 1

    async def send(self, action: str, **body: object) -> dict[str, Any]:
        answer = await self.caller.call("POST", f"{self.path}/{action}", body)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def messages(self) -> list[dict[str, Any]]:
        conversation = self.path.partition("/drafts")[0]
        count = (await self.caller.call("GET", conversation)).json()["message_count"]
        found: list[dict[str, Any]] = (
            await self.caller.call("GET", f"{conversation}/messages")
        ).json()["items"]
        assert count == len(found)
        return found

    async def read(self) -> dict[str, Any]:
        found: dict[str, Any] = (await self.caller.call("GET", self.path)).json()
        return found


@pytest.mark.parametrize(
    "what", some(["start", "write", "finish", "finish on a branch", "cancel"], every=2)
)
async def test_a_change_of_a_draft_whose_answer_is_lost_is_made_once(
    relay: Relay, what: str
) -> None:
    """The answer to one of its queries is lost; most changes have two or three."""
    queries = 0

    def is_query(number: int) -> Callable[[bytes], bool]:
        def counts(request: bytes) -> bool:
            nonlocal queries
            queries += request[:1] == b"B"
            return queries == number

        return once(counts)

    async with service(relay.url()) as caller:
        for query in range(1, 5):
            queries = 0
            place = {"after": None} if what == "finish on a branch" else {}
            producer = Producer(caller, Random(query))
            conversation = await caller.start()
            if what == "start":
                relay.cut_when(is_query(query))
            await producer.start(conversation, **place)
            await producer.write(3)
            relay.cut_when(is_query(query))
            if what == "write":
                await producer.write(3)
            elif what != "start":
                action = what.partition(" ")[0]
                body = {"epoch": 1} if action == "finish" else {}
                ended = await producer.send(action, **body)
                relay.cut_when(None)
                assert ended["message"]["content"] == "".join(producer.texts)
                assert await producer.messages() == [ended["message"]]
                assert await producer.send(action, **body) == ended
            relay.cut_when(None)
            assert (await producer.read())["text"] == "".join(producer.texts)
            assert queries > 0


async def test_no_chunk_is_lost_or_doubled_over_a_network_that_breaks(
    relay: Relay,
    full: bool,  # noqa: FBT001 - a fixture
) -> None:
    unlucky = Unlucky(Random(12), 0.07)
    async with service(relay.url()) as caller:
        producers = [await Producer(caller, Random(n)).start() for n in range(PRODUCERS)]
        relay.cut_when(unlucky)

        async def produce(producer: Producer) -> None:
            for _ in range(150 if full else 25):
                await producer.write(producer.dice.randrange(1, 5))
            await producer.send("finish", epoch=1)

        await asyncio.gather(*map(produce, producers))
        relay.cut_when(None)
        for producer in producers:
            text = "".join(producer.texts)
            assert [each["content"] for each in await producer.messages()] == [text]
            assert (await producer.read())["text"] == text
    assert unlucky.count > 5


async def test_of_a_finish_and_two_cancels_at_once_one_leaves_a_message(
    relay: Relay,
    full: bool,  # noqa: FBT001 - a fixture
) -> None:
    ends = set()
    async with service(relay.url()) as caller:
        for n in range(60 if full else 12):
            producer = await Producer(caller, Random(n)).start()
            await producer.write(3)
            calls = [("finish", {"epoch": 1}), ("cancel", {}), ("cancel", {})]
            producer.dice.shuffle(calls)

            answers = await asyncio.gather(
                *(caller.call("POST", f"{producer.path}/{end}", body) for end, body in calls)
            )

            [message] = await producer.messages()
            assert message["content"] == "".join(producer.texts)
            status = (await producer.read())["draft"]["status"]
            ends.add(status)
            for (end, _), answer in zip(calls, answers, strict=True):
                won = status == {"finish": "finished", "cancel": "cancelled"}[end]
                assert answer.status_code == (200 if won else 409), answer.text
                if won:
                    assert answer.json()["message"] == message
    assert ends <= {"finished", "cancelled"}


async def test_of_producers_that_take_over_one_after_another_only_the_last_one_writes(
    relay: Relay,
) -> None:
    async with service(relay.url()) as caller:
        producer = await Producer(caller, Random(1)).start()
        drafts = producer.path.rpartition("/")[0]
        body = {"id": "answer", "supersede": True}

        answers = await asyncio.gather(*(caller.call("POST", drafts, body) for _ in range(4)))

        epochs = sorted(answer.json()["epoch"] for answer in answers)
        assert len(set(epochs)) == 4
        for epoch in (1, *epochs[:-1]):
            chunks = {"epoch": epoch, "seq": 1, "chunks": ["old"]}
            old = await caller.call("POST", f"{producer.path}/chunks", chunks)
            assert old.status_code == 409
        producer.epoch = epochs[-1]
        await producer.write(2)
        assert (await producer.read())["text"] == "".join(producer.texts)


async def test_of_others_that_supersede_at_once_one_is_active_at_the_end(relay: Relay) -> None:
    async with service(relay.url()) as caller:
        producer = await Producer(caller, Random(1)).start()
        await producer.write(1)
        drafts = producer.path.rpartition("/")[0]

        answers = await asyncio.gather(
            *(caller.call("POST", drafts, {"supersede": True}) for _ in range(4))
        )

        assert [answer.status_code for answer in answers] == [201] * 4
        items = (await caller.call("GET", drafts)).json()["items"]
        assert [each["status"] for each in items] == ["active", *["interrupted"] * 4]
        [message] = await producer.messages()
        assert message["metadata"] == {"chatkeep.interrupted": "superseded"}


async def test_a_body_that_breaks_off_is_kept_as_far_as_it_came(
    relay: Relay, caplog: pytest.LogCaptureFixture
) -> None:
    async with service(relay.url()) as caller:
        producer = await Producer(caller, Random(1)).start()
        url = f"{producer.path}/stream?epoch=1"
        go_on = asyncio.Event()

        async def body() -> AsyncIterator[bytes]:
            for n in range(15):
                yield f"{n:>499} ".encode()
                await asyncio.sleep(0.01)
            await go_on.wait()

        request = asyncio.create_task(
            caller.http.post(url, content=body(), headers={"Content-Type": "text/plain"})
        )
        expected = "".join(f"{n:>499} " for n in range(15))

        async def has_come() -> bool:
            return bool((await producer.read())["text"] == expected)

        await until(has_come)  # while the body still goes on
        request.cancel()
        await asyncio.gather(request, return_exceptions=True)

        assert (await producer.read())["draft"]["status"] == "active"
        rest = await caller.http.post(
            f"{url}&finish=true", content=b"end", headers={"Content-Type": "text/plain"}
        )
        assert rest.json()["message"]["content"] == expected + "end"
    assert [each.getMessage() for each in caplog.records if each.levelname == "ERROR"] == []
