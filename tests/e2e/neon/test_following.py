"""Readers who follow a conversation lose nothing, and keep no database awake."""

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from random import Random
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.domain import polling
from chatkeep.entrypoints.bootstrap.service import http_app
from chatkeep.entrypoints.settings import Settings
from tests.e2e.neon.service import AS_ALICE, KEY, ChatBackend, service
from tests.support.following import Reader, following
from tests.support.postgres import connect_args
from tests.support.relay import Relay
from tests.support.waiting import until


async def reset_until_done(relay: Relay, random: Random, *tasks: "asyncio.Task[Any]") -> None:
    """Reset the connections of the database again and again, less often as time goes on.

    On a slow machine no call would end between two resets that are always as close.
    """
    longest = 0.2
    while not all(each.done() for each in tasks):
        await asyncio.sleep(random.uniform(0.02, longest))
        relay.reset()
        longest *= 1.02


async def read(
    callers: list[ChatBackend], conversation: UUID, last: str, random: Random
) -> list[str]:
    """Return the messages up to one with the content `last`, across breaks at random points."""
    found: list[str] = []
    at = "start"
    while last not in found:
        caller, leave = random.choice(callers), random.randint(1, 6)
        reader = Reader()
        try:
            async with caller.http.stream(
                "GET", f"/v1/conversations/{conversation}/events", params={"after": at}
            ) as answer:
                if answer.status_code != 200:
                    await asyncio.sleep(0.01)
                    continue
                async for text in answer.aiter_text():
                    found += [sent.data["message"]["content"] for sent in reader.feed(text)]
                    at = reader.last_id or at
                    leave -= 1
                    if leave == 0 or last in found:
                        break
        except httpx.HTTPError:
            continue
    return found


async def write(callers: list[ChatBackend], conversation: UUID, name: str, count: int) -> list[str]:
    """Append messages, through one process or another, until each is stored."""
    written = [f"{name} {number}" for number in range(count)]
    for number, content in enumerate(written):
        say = partial(callers[number % len(callers)].say, conversation, content, message=uuid4())

        async def is_stored(say: Any = say) -> bool:  # noqa: ANN401 - a partial
            return bool((await say()).status_code == 201)

        await until(is_stored)
    return written


async def test_readers_who_break_off_and_go_on_elsewhere_get_every_message_in_order(
    relay: Relay, monkeypatch: pytest.MonkeyPatch, *, full: bool
) -> None:
    monkeypatch.setattr(polling, "TICK", 0.02)
    random = Random(1)
    messages, readers = (60, 6) if full else (15, 4)
    async with service(relay.url()) as one, service(relay.url()) as other:
        callers = [one, other]
        conversation = await one.start()
        followers = [
            asyncio.create_task(read(callers, conversation, "the last", Random(n)))
            for n in range(readers)
        ]
        writing = [
            asyncio.create_task(write(callers, conversation, name, messages)) for name in "ab"
        ]
        await reset_until_done(relay, random, *writing)
        await one.say(conversation, "the last")
        history = await one.call("GET", f"/v1/conversations/{conversation}/messages?limit=100")
        stored = [each["content"] for each in history.json()["items"]]
        while (cursor := history.json()["next_cursor"]) is not None:
            path = f"/v1/conversations/{conversation}/messages?limit=100&cursor={cursor}"
            history = await one.call("GET", path)
            stored += [each["content"] for each in history.json()["items"]]
        found = await asyncio.gather(*followers)

    assert len(stored) == 2 * messages + 1
    for messages_read in found:
        assert [*dict.fromkeys(messages_read)] == stored


async def write_answer(callers: list[ChatBackend], conversation: UUID, chunks: int) -> str:
    """Write a draft, chunk by chunk and through one process or another, and finish it."""
    path, draft = f"/v1/conversations/{conversation}/drafts", str(uuid4())
    steps: list[tuple[str, dict[str, Any]]] = [("", {"id": draft})]
    texts = [f"{number} " for number in range(chunks)]
    for seq, text in enumerate(texts, 1):
        steps.append((f"/{draft}/chunks", {"epoch": 1, "seq": seq, "chunks": [text]}))
    steps.append((f"/{draft}/finish", {"epoch": 1}))
    for number, (step, body) in enumerate(steps):
        call = partial(callers[number % len(callers)].call, "POST", path + step, body)

        async def is_done(call: Any = call) -> bool:  # noqa: ANN401 - a partial
            return bool((await call()).is_success)

        await until(is_done)
    return "".join(texts)


async def follow_answers(
    callers: list[ChatBackend], conversation: UUID, count: int, random: Random
) -> list[str]:
    """Return the texts of drafts, read in pieces across breaks at random points."""
    texts: dict[str, str] = {}
    ended: list[str] = []
    at = "start"
    while len(ended) < count:
        reader, leave = Reader(), random.randint(1, 6)
        try:
            async with random.choice(callers).http.stream(
                "GET", f"/v1/conversations/{conversation}/events", params={"after": at}
            ) as answer:
                if answer.status_code != 200:
                    await asyncio.sleep(0.01)
                    continue
                async for text in answer.aiter_text():
                    for sent in reader.feed(text):
                        if sent.type == "draft.delta":
                            texts[sent.data["draft_id"]] += sent.data["text"]
                        elif sent.type == "draft.started":
                            texts[sent.data["draft"]["id"]] = ""
                        elif sent.type == "draft.finished":
                            ended.append(sent.data["draft"]["id"])
                    at = reader.last_id or at
                    leave -= 1
                    if leave == 0 or len(ended) == count:
                        break
        except httpx.HTTPError:
            continue
    return [texts[each] for each in ended]


async def test_an_answer_that_is_followed_across_breaks_has_every_chunk_once(
    relay: Relay, monkeypatch: pytest.MonkeyPatch, *, full: bool
) -> None:
    monkeypatch.setattr(polling, "TICK", 0.02)
    random = Random(2)
    answers, readers, chunks = (12, 4, 15) if full else (2, 3, 8)
    async with service(relay.url()) as one, service(relay.url()) as other:
        callers = [one, other]
        conversation = await one.start()
        followers = [
            asyncio.create_task(follow_answers(callers, conversation, answers, Random(n)))
            for n in range(readers)
        ]

        async def write_all() -> list[str]:
            return [await write_answer(callers, conversation, chunks) for _ in range(answers)]

        writing = asyncio.create_task(write_all())
        await reset_until_done(relay, random, writing)
        found = await asyncio.gather(*followers)

    for texts in found:
        assert texts == await writing


async def test_a_message_reaches_the_readers_of_another_process(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "TICK", 0.02)
    async with service(database_url) as one, service(database_url) as other:
        conversation = await one.start()
        reading = asyncio.create_task(read([other], conversation, "hello", Random(1)))
        await asyncio.sleep(0.05)
        await one.say(conversation, "hello")
        assert await reading == ["hello"]


async def test_pages_that_are_left_open_send_the_database_nothing(
    relay: Relay, *, full: bool
) -> None:
    pages = 1_000 if full else 50
    settings = Settings(
        database_url=relay.url(),
        service_keys=(KEY,),
        max_streams_per_user=0,
        stream_idle_seconds=1,
    )
    app = http_app(settings, database=Engine(connect_args(relay.url())))
    async with app.lifespan(), AsyncExitStack() as open_pages:
        transport: Any = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
        async with httpx.AsyncClient(
            transport=transport, base_url="http://test", headers=AS_ALICE
        ) as http:
            conversation = await ChatBackend(http).start()
            path = f"/v1/conversations/{conversation}/events"
            streams = [
                await open_pages.enter_async_context(following(app, path, AS_ALICE))
                for _ in range(pages)
            ]
            for stream in streams:
                await stream.ended.wait()
            relay.requests.clear()

            for stream in streams:
                headers = {**AS_ALICE, "Last-Event-ID": stream.reader.last_id}
                async with following(app, path, headers) as again:
                    assert again.status == 204
            await asyncio.sleep(3 * polling.TICK)

            assert relay.requests == []
