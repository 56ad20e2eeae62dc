"""Events: a reader who follows a conversation gets each message, once it is stored."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chatkeep.domain import polling
from chatkeep.entrypoints.bootstrap.use_cases import memory_chatkeep
from chatkeep.entrypoints.http import live_stream, snapshots
from chatkeep.entrypoints.http.server.ending import ENDING, Ending
from tests.api.builders import an_id, appended, at, listed, refused, says, started
from tests.support.application import Caller, Service, serving, settings, token
from tests.support.following import Following, Sent, following
from tests.support.json_schema import JsonObject
from tests.support.waiting import until


class _Clock:
    """A clock that a test sets."""

    time = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time


def follow(service: Service, conversation: JsonObject, user: Caller, **query: Any) -> Any:  # noqa: ANN401
    extra = query.pop("extra", {})
    last_id = query.pop("last_id", None)
    text = "&".join(f"{name}={value}" for name, value in query.items())
    headers = {**dict(user.headers), **({"Last-Event-ID": last_id} if last_id else {})}
    return following(service.app, f"{at(conversation, 'events')}?{text}", headers, **extra)


async def wait_for_events(
    service: Service, conversation: JsonObject, user: Caller, extra: dict[str, Any]
) -> int:
    async with follow(service, conversation, user, wait=60, extra=extra) as answer:
        await answer.ended.wait()
        return int(answer.status)


def content(sent: Sent) -> str:
    assert sent.type == sent.data["type"] == "message.created"
    found: str = sent.data["message"]["content"]
    return found


async def test_a_message_is_delivered_once_it_is_stored(service: Service, alice: Caller) -> None:
    conversation = await started(alice, says("before"))
    async with follow(service, conversation, alice) as stream:
        assert (stream.status, stream.headers["content-type"]) == (200, "text/event-stream")
        assert stream.headers["x-accel-buffering"] == "no"
        assert stream.headers["cache-control"] == "no-store"
        [stored] = await appended(alice, conversation, says("after"))

        sent = await stream.next()

        [_, before] = [*reversed(await listed(alice, at(conversation, "messages")))]
        assert sent.data == {
            "type": "message.created",
            "conversation_id": conversation["id"],
            "message": {**stored, "parent_id": before["id"], "branch": 0},
        }
        assert stream.waiting() == 0
        assert stream.reader.retry == 1000
    assert stream.ended.is_set()


async def test_a_reader_who_comes_back_goes_on_after_the_last_event(
    service: Service, alice: Caller
) -> None:
    conversation = await started(alice, says("a"), says("b"), says("c"))
    async with follow(service, conversation, alice, after="start") as stream:
        sent = await stream.take(3)
    assert [content(each) for each in sent] == ["a", "b", "c"]

    await appended(alice, conversation, says("d"))

    for read, last in enumerate(sent, 1):
        rest = ["a", "b", "c", "d"][read:]
        async with follow(service, conversation, alice, after=last.id) as stream:
            assert [content(each) for each in await stream.take(4 - read)] == rest
        # The header is what a browser sends, with the address that it first asked for.
        async with follow(service, conversation, alice, after="start", last_id=last.id) as stream:
            assert [content(each) for each in await stream.take(4 - read)] == rest


async def test_a_reader_who_got_no_event_yet_knows_where_to_go_on(
    service: Service, alice: Caller
) -> None:
    conversation = await started(alice, says("a"))
    async with follow(service, conversation, alice) as stream:
        pass
    last_id = stream.reader.last_id
    await appended(alice, conversation, says("b"))

    async with follow(service, conversation, alice, last_id=last_id) as stream:
        assert content(await stream.next()) == "b"


async def test_messages_of_the_openai_side_are_events_too(service: Service, alice: Caller) -> None:
    conversation = await started(alice)
    async with follow(service, conversation, alice) as stream:
        item = {"type": "message", "role": "user", "content": "as an item"}
        path = f"/openai/v1/conversations/conv_{conversation['id'].replace('-', '')}/items"
        assert (await alice.post(path, json={"items": [item]})).status_code == 200
        assert content(await stream.next()) == "as an item"


async def test_line_ends_in_stored_json_do_not_break_events(
    service: Service, alice: Caller
) -> None:
    conversation = await started(alice)
    body = '{"role": "user", "content": [\r\n{"type": "text",\n\n"text": "a\\r\\nb\u2028c"}\r]}'
    async with follow(service, conversation, alice) as stream:
        response = await alice.post(
            at(conversation, "messages"),
            content=body.encode(),
            headers={"Content-Type": "application/json"},
        )
        assert response.status_code == 201
        sent = await stream.next()
        assert sent.data["message"]["content"] == [{"type": "text", "text": "a\r\nb\u2028c"}]


async def test_new_messages_of_every_branch_have_their_parents(
    service: Service, alice: Caller
) -> None:
    conversation = await started(alice)
    question, _ = await appended(alice, conversation, says("question"), says("answer", "assistant"))
    async with follow(service, conversation, alice) as stream:
        another = {**says("another answer", "assistant"), "after": question["id"]}
        assert (await alice.post(at(conversation, "messages"), json=another)).status_code == 201
        message = (await stream.next()).data["message"]
        assert (message["parent_id"], message["branch"]) == (question["id"], 1)


async def test_the_end_of_a_conversation_ends_its_stream(service: Service, alice: Caller) -> None:
    conversation = await started(alice, says("a"))
    async with follow(service, conversation, alice) as stream:
        await alice.delete(at(conversation))
        assert (await stream.next()).data == {
            "type": "conversation.deleted",
            "conversation_id": conversation["id"],
        }
        await stream.ended.wait()
    refused(await alice.get(at(conversation, "events")), 404, "not-found")


async def test_nobody_follows_what_belongs_to_others(
    service: Service, alice: Caller, bob: Caller
) -> None:
    conversation = await started(alice, says("a"))
    for query in ({}, {"wait": 0}, {"after": "start"}):
        response = await bob.get(at(conversation, "events"), params=query)
        refused(response, 404, "not-found")
    refused(await bob.get(at({"id": an_id()}, "events")), 404, "not-found")


async def test_a_long_poll_is_answered_as_soon_as_there_are_events(alice: Caller) -> None:
    conversation = await started(alice, says("a"))
    path = at(conversation, "events")
    first = (await alice.get(path, params={"after": "start", "wait": 60})).json()
    assert [each["message"]["content"] for each in first["items"]] == ["a"]
    later = asyncio.create_task(alice.get(path, params={"after": first["next_cursor"], "wait": 60}))
    await asyncio.sleep(0)

    await appended(alice, conversation, says("b"))

    assert [each["message"]["content"] for each in (await later).json()["items"]] == ["b"]


async def test_a_long_poll_without_events_has_a_cursor_too(alice: Caller) -> None:
    conversation = await started(alice, says("a"))
    path = at(conversation, "events")
    nothing = (await alice.get(path, params={"wait": 0})).json()
    assert nothing["items"] == []

    await appended(alice, conversation, says("b"))

    found = (await alice.get(path, params={"after": nothing["next_cursor"], "wait": 0})).json()
    assert [each["message"]["content"] for each in found["items"]] == ["b"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"after": "nonsense"}, "after"),
        ({"after": "WzEsMl0"}, "after"),
        ({"after": "WyJldmVudHMiLC0xLDAsMCwwXQ"}, "after"),
        ({"after": "start", "wait": 61}, "wait"),
        ({"wait": -1}, "wait"),
        ({"since": "start"}, "since"),
    ],
)
async def test_what_makes_no_sense_is_refused(
    alice: Caller, query: dict[str, Any], field: str
) -> None:
    conversation = await started(alice)
    response = await alice.get(at(conversation, "events"), params=query)
    refused(response, 422, "invalid-value", field)


async def test_a_cursor_in_the_header_that_is_none_is_refused(alice: Caller) -> None:
    conversation = await started(alice)
    response = await alice.get(at(conversation, "events"), headers={"Last-Event-ID": "nonsense"})
    refused(response, 422, "invalid-value", "Last-Event-ID")


async def test_a_stream_sends_comments_while_nothing_happens(
    service: Service, alice: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_stream, "HEARTBEAT", 0.01)
    conversation = await started(alice)
    async with follow(service, conversation, alice) as stream:
        for _ in range(3):
            stream.reader.commented.clear()
            await stream.reader.commented.wait()
        await appended(alice, conversation, says("a"))
        assert content(await stream.next()) == "a"


async def test_a_stream_without_events_ends_and_its_page_does_not_reconnect(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with serving(settings(stream_idle_seconds=1)) as service:
        alice = service.user()
        conversation = await started(alice, says("a"))
        async with follow(service, conversation, alice) as stream:
            assert (await stream.next()).type == "stream.idle"
            await stream.ended.wait()
        last_id = stream.reader.last_id
        response = await alice.get(at(conversation, "events"), headers={"Last-Event-ID": last_id})
        assert (response.status_code, response.content) == (204, b"")

        await appended(alice, conversation, says("b"))
        async with follow(service, conversation, alice, after=last_id) as stream:
            assert content(await stream.next()) == "b"


async def test_a_stream_ends_when_it_is_old() -> None:
    async with serving(settings(stream_seconds=1)) as service:
        alice = service.user()
        conversation = await started(alice, says("a"))
        async with follow(service, conversation, alice) as stream:
            while not stream.ended.is_set():
                await appended(alice, conversation, says("more"))
                await asyncio.sleep(0.05)
            assert stream.waiting() > 0


async def test_a_stream_ends_when_its_token_expires(service: Service, alice: Caller) -> None:
    conversation = await started(alice, says("a"))
    headers = {"Authorization": token(alice.user_id, expires_in=2)}
    async with following(service.app, at(conversation, "events?after=start"), headers) as stream:
        assert content(await stream.next()) == "a"
        await stream.ended.wait()


async def test_a_stream_and_a_long_poll_end_when_the_service_stops(
    service: Service, alice: Caller
) -> None:
    conversation = await started(alice, says("a"))
    ending = Ending()
    extra: dict[str, Any] = {ENDING: ending}
    async with follow(service, conversation, alice, extra=extra) as stream:
        poll = asyncio.create_task(wait_for_events(service, conversation, alice, extra))
        await asyncio.sleep(0.01)
        ending.begin()
        await stream.ended.wait()
        assert await poll == 200


async def test_a_user_and_a_process_have_so_many_streams() -> None:
    async with serving(settings(max_streams=3, max_streams_per_user=2)) as service:
        alice, bob, carol = map(service.user, ("alice", "bob", "carol"))
        mine, his, hers = [await started(each) for each in (alice, bob, carol)]
        async with (
            follow(service, mine, alice),
            follow(service, mine, alice),
        ):
            problem = refused(await alice.get(at(mine, "events")), 429, "too-many-requests")
            assert "CHATKEEP_MAX_STREAMS_PER_USER" in problem["detail"]
            async with follow(service, his, bob):
                problem = refused(await carol.get(at(hers, "events")), 503, "overloaded")
                assert "CHATKEEP_MAX_STREAMS" in problem["detail"]
            assert (await carol.get(at(hers, "events"), params={"wait": 0})).status_code == 200
        # They are no requests at once, of which there may be few.
        assert (await alice.get(at(mine, "events"), params={"wait": 0})).status_code == 200


async def test_what_another_process_stores_is_found_by_a_poll(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(polling, "TICK", 0.01)
    chatkeep = memory_chatkeep()
    async with serving(settings(), chatkeep) as service:
        alice = service.user()
        conversation = await started(alice)
        async with follow(service, conversation, alice) as stream:
            monkeypatch.setattr(chatkeep.hub, "notify", lambda *_, **__: None)
            await appended(alice, conversation, says("a"))
            assert content(await stream.next()) == "a"


async def test_a_client_that_leaves_takes_its_watch_along(service: Service) -> None:
    chatkeep = memory_chatkeep()
    async with serving(settings(), chatkeep) as service_:
        alice = service_.user()
        conversation = await started(alice)
        streams: list[Following] = []
        async with follow(service_, conversation, alice) as stream:
            streams.append(stream)
            assert len([*chatkeep.hub]) == 1
        response = await alice.request("HEAD", at(conversation, "events"))
        assert (response.status_code, response.content) == (200, b"")
        assert response.headers["content-type"] == "text/event-stream"
        assert [*chatkeep.hub] == []


async def test_changes_of_messages_and_of_the_conversation_are_delivered(
    service: Service, alice: Caller
) -> None:
    conversation = await started(alice)
    messages = await appended(alice, conversation, *map(says, "abcd"))
    paths = [at(conversation, "messages", each["id"]) for each in messages]
    async with follow(service, conversation, alice) as stream:
        edited = (await alice.put(paths[0], json=says("edited"))).json()
        patched = (await alice.patch(paths[1], json={"metadata": {"rating": 5}})).json()
        await alice.delete(paths[2])
        await alice.delete(at(conversation, "messages"), params={"from": messages[3]["id"]})
        renamed = (await alice.patch(at(conversation), json={"title": "new"})).json()

        sent = [each.data for each in await stream.take(5)]

    of_it = {"conversation_id": conversation["id"]}
    assert sent == [
        {"type": "message.updated", **of_it, "message": edited},
        {"type": "message.updated", **of_it, "message": patched},
        {"type": "message.deleted", **of_it, "message_id": messages[2]["id"]},
        {"type": "message.deleted", **of_it, "message_id": messages[3]["id"]},
        {"type": "conversation.updated", **of_it, "conversation": renamed},
    ]


async def test_a_reader_who_was_away_learns_what_was_changed_and_deleted(alice: Caller) -> None:
    conversation = await started(alice)
    messages = await appended(alice, conversation, *map(says, "abc"))
    path = at(conversation, "events")
    before = (await alice.get(path, params={"wait": 0})).json()["next_cursor"]
    await alice.delete(at(conversation, "messages", messages[0]["id"]))
    await alice.put(at(conversation, "messages", messages[1]["id"]), json=says("edited"))
    await appended(alice, conversation, says("d"))

    found = (await alice.get(path, params={"after": before, "wait": 0})).json()

    assert [each["type"] for each in found["items"]] == [
        "message.created",
        "message.deleted",
        "message.updated",
    ]
    later = (await alice.get(path, params={"after": found["next_cursor"], "wait": 0})).json()
    assert later["items"] == []


async def test_a_cursor_that_is_too_old_says_what_to_do() -> None:
    clock = _Clock()
    async with serving(settings(), memory_chatkeep(clock=clock)) as service:
        alice = service.user()
        conversation = await started(alice, says("a"))
        path = at(conversation, "events")
        cursor = (await alice.get(path, params={"wait": 0})).json()["next_cursor"]
        clock.time += timedelta(days=8)
        unchanged = await alice.get(path, params={"after": cursor, "wait": 0})
        assert unchanged.json()["items"] == []
        await appended(alice, conversation, says("b"))

        problem = refused(
            await alice.get(path, params={"after": cursor, "wait": 0}), 410, "changes-forgotten"
        )
        assert "7 days" in problem["detail"]
        refused(await alice.get(path, params={"after": cursor}), 410, "changes-forgotten")
        assert (await alice.get(path, params={"after": "start", "wait": 0})).status_code == 200


async def test_readers_polls_and_how_late_events_are_sent_are_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(polling, "TICK", 0.01)
    monkeypatch.setattr(snapshots, "FRESH_SECONDS", 0)
    clock = _Clock()
    async with serving(settings(), memory_chatkeep(clock=clock)) as service:
        alice = service.user()
        conversation = await started(alice, says("long ago"))

        async def lines() -> set[str]:
            return {*(await service.nobody().get("/metrics")).text.splitlines()}

        assert {
            "chatkeep_event_readers 0.0",
            'chatkeep_event_polls_total{of="conversations"} 0.0',
            'chatkeep_event_polls_total{of="users"} 0.0',
        } <= await lines()
        clock.time += timedelta(hours=1)
        async with follow(service, conversation, alice, after="start") as stream:
            await stream.next()
            draft = (await alice.post(at(conversation, "drafts"), json={})).json()
            await stream.next()
            await appended(alice, conversation, says("now"))
            await stream.next()
            clock.time += timedelta(seconds=3)
            chunks = {"epoch": 1, "seq": 1, "chunks": ["a"]}
            await alice.post(at(conversation, "drafts", draft["id"], "chunks"), json=chunks)
            await stream.next()
            found = await lines()
            while 'chatkeep_event_polls_total{of="conversations"} 0.0' in found:
                await asyncio.sleep(0.01)
                found = await lines()

    # What a reader catches up with does not count, and the start of a draft has no time.
    assert "chatkeep_event_readers 1.0" in found
    assert "chatkeep_event_lag_seconds_count 2.0" in found
    assert 'chatkeep_event_lag_seconds_bucket{le="0.005"} 2.0' in found
    assert 'chatkeep_event_polls_total{of="users"} 0.0' in found


async def test_a_reader_gets_only_the_types_that_they_name(service: Service, alice: Caller) -> None:
    conversation = await started(alice, says("a"))
    types = "message.updated,message.deleted"
    async with follow(service, conversation, alice, after="start", types=types) as stream:
        [message] = await appended(alice, conversation, says("b"))
        path = at(conversation, "messages", message["id"])
        await alice.patch(path, json={"metadata": {"rating": 5}})
        assert (await stream.next()).type == "message.updated"
        await alice.post(at(conversation, "drafts"), json={})
        await alice.delete(path)
        assert (await stream.next()).type == "message.deleted"
        await alice.delete(at(conversation))
        assert (await stream.next()).type == "conversation.deleted"  # it ends in any case
        await stream.ended.wait()


async def test_the_cursor_of_a_reader_passes_what_they_do_not_want(
    service: Service, alice: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_stream, "HEARTBEAT", 0.01)
    conversation = await started(alice, says("a"))
    path = at(conversation, "events")
    query = {"after": "start", "wait": 0, "types": "message.deleted"}
    page = (await alice.get(path, params=query)).json()
    assert page["items"] == []
    rest = (await alice.get(path, params={"after": page["next_cursor"], "wait": 0})).json()
    assert rest["items"] == []

    async with follow(service, conversation, alice, types="message.deleted") as stream:
        before = stream.reader.last_id
        await appended(alice, conversation, says("b"))
        await until(lambda: stream.reader.last_id != before)
        assert stream.waiting() == 0
    query = {"after": stream.reader.last_id, "wait": 0}
    assert (await alice.get(path, params=query)).json()["items"] == []


async def test_the_feed_takes_types_too(service: Service, alice: Caller) -> None:
    url = "/v1/events?types=message.created"
    headers = {"Authorization": token(alice.user_id)}
    async with following(service.app, url, headers) as stream:
        conversation = await started(alice, says("a"))
        sent = await stream.next()
        assert content(sent) == "a"
        await alice.patch(at(conversation), json={"title": "new"})
        await appended(alice, conversation, says("b"))
        assert content(await stream.next()) == "b"


@pytest.mark.parametrize(
    ("path", "types"),
    [
        ("conversation", "conversation.created"),
        ("conversation", "stream.idle"),
        ("conversation", "message.created, message.deleted"),
        ("conversation", ""),
        ("conversation", "message.created,"),
        ("conversation", "x" * 5_000),
        ("feed", "draft.delta"),
        ("feed", "message.created,draft.started"),
    ],
)
async def test_a_type_that_never_comes_is_refused(alice: Caller, path: str, types: str) -> None:
    conversation = await started(alice)
    url = at(conversation, "events") if path == "conversation" else "/v1/events"
    for query in ({}, {"wait": 0}):
        response = await alice.get(url, params={"types": types, **query})
        problem = refused(response, 422, "invalid-value", "types")
        assert "message.created, message.updated, message.deleted" in problem["detail"]
        assert len(problem["detail"]) < 400
