"""Drafts: an answer is written piece by piece, read meanwhile, and becomes a message."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from chatkeep.domain.model import Limits
from chatkeep.entrypoints.bootstrap.use_cases import memory_chatkeep
from tests.api.builders import an_id, at, drafted, listed, refused, says, started
from tests.support.application import Caller, Service, serving, settings
from tests.support.json_schema import JsonObject

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> datetime:
        self.time += timedelta(microseconds=1)
        return self.time

    def wait(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
async def service(clock: Clock) -> AsyncIterator[Service]:
    """Yield a service with a clock of the test's, in place of the usual one."""
    limits = Limits(max_message_chars=100, max_draft_bytes=500)
    async with serving(settings(), memory_chatkeep(clock=clock, limits=limits)) as service:
        yield service


@pytest.fixture
async def conversation(alice: Caller) -> JsonObject:
    return await started(alice, says("Where is my order?"))


def draft_at(draft: JsonObject, *more: str) -> str:
    return at({"id": draft["conversation_id"]}, "drafts", draft["id"], *more)


async def write(
    alice: Caller, draft: JsonObject, *chunks: object, seq: int = 1, epoch: int = 1
) -> JsonObject:
    body = {"epoch": epoch, "seq": seq, "chunks": chunks}
    response = await alice.post(draft_at(draft, "chunks"), json=body)
    found: JsonObject = response.json()
    return found


async def messages_of(alice: Caller, conversation: JsonObject) -> list[JsonObject]:
    return await listed(alice, at(conversation, "messages"))


async def test_an_answer_is_written_and_becomes_a_message(
    alice: Caller, conversation: JsonObject
) -> None:
    draft = await drafted(alice, conversation, id="answer 1", metadata={"model": "large"})
    await write(alice, draft, "It was ", "shipped")
    state = await write(alice, draft, " this morning.", seq=3)

    read = (await alice.get(draft_at(draft))).json()
    response = await alice.post(draft_at(draft, "finish"), json={"epoch": 1})

    assert (state["status"], state["next"], read["draft"]) == ("active", 4, state)
    assert (read["text"], read["last"], read["more"]) == ("It was shipped this morning.", 3, False)
    message, ended = response.json()["message"], response.json()["draft"]
    assert message["content"] == "It was shipped this morning."
    assert (message["id"], message["role"]) == ("answer 1", "assistant")
    assert message["metadata"] == {"model": "large"}
    assert (ended["status"], ended["message_id"]) == ("finished", "answer 1")
    assert (await messages_of(alice, conversation))[1:] == [message]
    assert response.headers["etag"] == (await alice.get(at(conversation))).headers["etag"]
    again = await alice.post(draft_at(draft, "finish"), json={"epoch": 1})
    assert (again.json(), again.headers["etag"]) == (response.json(), response.headers["etag"])


async def test_a_reader_goes_on_after_a_chunk(alice: Caller, conversation: JsonObject) -> None:
    draft = await drafted(alice, conversation, "a", "b", "c")

    for after, text in ((0, "abc"), (1, "bc"), (3, ""), (9, "")):
        read = (await alice.get(draft_at(draft), params={"after": after})).json()
        assert (read["text"], read["last"]) == (text, max(3, after))


async def test_a_draft_is_finished_with_a_whole_message(
    alice: Caller, conversation: JsonObject
) -> None:
    draft = await drafted(alice, conversation, "Let me see", metadata={"a": 1})
    call = {"id": "c", "type": "function", "function": {"name": "find", "arguments": "{}"}}
    message = says(None, "assistant", tool_calls=[call], metadata={"b": 2}, tokens=3)
    body = {"epoch": 1, "message": message}

    response = await alice.post(draft_at(draft, "finish"), json=body)

    stored = response.json()["message"]
    assert {name: stored[name] for name in message} == message
    assert stored["id"] == draft["id"]
    assert (await alice.post(draft_at(draft, "finish"), json=body)).json() == response.json()
    other = {"epoch": 1, "message": message | {"tokens": 4}}
    refused(await alice.post(draft_at(draft, "finish"), json=other), 409, "draft-ended")
    assert len(await messages_of(alice, conversation)) == 2


async def test_a_whole_message_has_the_drafts_id(alice: Caller, conversation: JsonObject) -> None:
    draft = await drafted(alice, conversation, "a", message_id="own / id")
    wrong = {"epoch": 1, "message": says("a", "assistant", id="another")}
    right = {"epoch": 1, "message": says("a", "assistant", id="own / id")}

    refused(
        await alice.post(draft_at(draft, "finish"), json=wrong), 422, "invalid-value", "message.id"
    )
    finished = await alice.post(draft_at(draft, "finish"), json=right)
    assert finished.json()["message"]["id"] == "own / id"


async def test_an_empty_draft_leaves_no_message(alice: Caller, conversation: JsonObject) -> None:
    for action, body in (("finish", {"epoch": 1}), ("cancel", {})):
        draft = await drafted(alice, conversation)
        ended = (await alice.post(draft_at(draft, action), json=body)).json()
        assert ended["message"] is None
        assert (await alice.post(draft_at(draft, action), json=body)).json() == ended

    assert len(await messages_of(alice, conversation)) == 1


async def test_a_second_start_is_told_of_the_active_draft(
    alice: Caller, conversation: JsonObject
) -> None:
    draft = await drafted(alice, conversation, "a", "b")

    problem = refused(await alice.post(at(conversation, "drafts"), json={}), 409, "draft-active")

    assert problem["draft"] == {"id": draft["id"], "status": "active", "epoch": 1, "next": 3}


async def test_a_write_that_is_not_expected_is_told_why(
    alice: Caller, conversation: JsonObject
) -> None:
    draft = await drafted(alice, conversation, "a")

    gap = await alice.post(draft_at(draft, "chunks"), json={"epoch": 1, "seq": 3, "chunks": ["c"]})
    assert refused(gap, 409, "draft-gap")["draft"] == {"id": draft["id"], "next": 2}
    taken = await alice.post(
        at(conversation, "drafts"), json={"id": draft["id"], "supersede": True}
    )
    assert (taken.json()["epoch"], taken.json()["next"]) == (2, 2)
    old = await alice.post(draft_at(draft, "finish"), json={"epoch": 1})
    assert refused(old, 409, "draft-superseded")["draft"] == {"id": draft["id"], "epoch": 2}
    await alice.post(draft_at(draft, "cancel"), json={})
    late = await alice.post(draft_at(draft, "finish"), json={"epoch": 2})
    assert refused(late, 409, "draft-ended")["draft"]["status"] == "cancelled"
    unknown = at(conversation, "drafts", an_id(), "finish")
    refused(await alice.post(unknown, json={"epoch": 1}), 404, "not-found")


async def test_a_cancelled_answer_is_kept_and_marked(
    alice: Caller, conversation: JsonObject
) -> None:
    draft = await drafted(alice, conversation, "It was ", metadata={"model": "large"})

    cancelled = await alice.post(draft_at(draft, "cancel"), json={})

    message = cancelled.json()["message"]
    assert message["content"] == "It was "
    assert message["metadata"] == {"model": "large", "chatkeep.interrupted": "cancelled"}
    assert (await messages_of(alice, conversation))[1:] == [message]
    assert (await alice.post(draft_at(draft, "cancel"), json={})).json() == cancelled.json()


async def test_a_cancelled_answer_may_be_discarded(alice: Caller, conversation: JsonObject) -> None:
    draft = await drafted(alice, conversation, "It was ")

    cancelled = await alice.post(draft_at(draft, "cancel"), json={"keep": False})

    assert cancelled.json()["draft"]["status"] == "cancelled"
    assert cancelled.json()["message"] is None
    assert len(await messages_of(alice, conversation)) == 1


async def test_a_finished_answer_is_not_cancelled(alice: Caller, conversation: JsonObject) -> None:
    draft = await drafted(alice, conversation, "a")
    await alice.post(draft_at(draft, "finish"), json={"epoch": 1})

    cancelled = await alice.post(draft_at(draft, "cancel"), json={})

    assert refused(cancelled, 409, "draft-ended")["draft"]["status"] == "finished"


@pytest.mark.parametrize("meets", ["read", "list", "start", "write at the end of its time"])
async def test_a_draft_without_progress_is_interrupted(
    alice: Caller, conversation: JsonObject, clock: Clock, meets: str
) -> None:
    draft = await drafted(alice, conversation, "It was ", lease=60)
    clock.wait(59)
    assert (await alice.get(draft_at(draft))).json()["draft"]["status"] == "active"
    clock.wait(2)

    if meets == "read":
        assert (await alice.get(draft_at(draft))).json()["draft"]["status"] == "interrupted"
    elif meets == "list":
        items = (await alice.get(at(conversation, "drafts"))).json()["items"]
        assert [each["status"] for each in items] == ["interrupted"]
    elif meets == "start":
        assert (await alice.post(at(conversation, "drafts"), json={})).status_code == 201
    else:
        clock.wait(3_600)
        late = await alice.post(
            draft_at(draft, "chunks"), json={"epoch": 1, "seq": 2, "chunks": ["late"]}
        )
        assert refused(late, 409, "draft-ended")["draft"]["status"] == "interrupted"

    for _ in range(2):
        await alice.get(draft_at(draft))
        [_, message] = await messages_of(alice, conversation)
        assert message["content"] == "It was "
        assert message["metadata"] == {"chatkeep.interrupted": "expired"}


async def test_progress_moves_the_deadline_and_a_repeated_write_does_not(
    alice: Caller, conversation: JsonObject, clock: Clock
) -> None:
    draft = await drafted(alice, conversation, "a", lease=60)
    clock.wait(40)
    repeated = await write(alice, draft, "a")
    assert repeated["deadline"] == draft["deadline"]
    assert (await write(alice, draft, "b", seq=2))["deadline"] > draft["deadline"]
    clock.wait(40)

    assert (await alice.get(draft_at(draft))).json()["draft"]["status"] == "active"


async def test_a_superseded_draft_is_kept_or_discarded(
    alice: Caller, conversation: JsonObject
) -> None:
    first = await drafted(alice, conversation, "first")
    second = await drafted(alice, conversation, "second", supersede=True)
    third = await drafted(alice, conversation, "third", supersede=True, discard=True)

    late = await alice.post(
        draft_at(second, "chunks"), json={"epoch": 1, "seq": 2, "chunks": ["late"]}
    )
    assert refused(late, 409, "draft-ended")["draft"]["status"] == "interrupted"
    [_, message] = await messages_of(alice, conversation)
    assert message["content"] == "first"
    assert message["metadata"] == {"chatkeep.interrupted": "superseded"}
    items = (await alice.get(at(conversation, "drafts"))).json()["items"]
    assert [each["id"] for each in items] == [third["id"], second["id"], first["id"]]
    assert [each["status"] for each in items] == ["active", "interrupted", "interrupted"]


async def test_a_start_can_be_sent_again(alice: Caller, conversation: JsonObject) -> None:
    body = {"id": "answer", "metadata": {"a": 1}}
    first = await alice.post(at(conversation, "drafts"), json=body)

    assert (await alice.post(at(conversation, "drafts"), json=body)).json() == first.json()
    other = await alice.post(at(conversation, "drafts"), json={"id": "answer"})
    refused(other, 409, "id-taken")


async def test_an_answer_continues_a_branch(alice: Caller, conversation: JsonObject) -> None:
    [question] = await messages_of(alice, conversation)
    for text in ("first", "second"):
        draft = await drafted(alice, conversation, text, after=question["id"])
        await alice.post(draft_at(draft, "finish"), json={"epoch": 1})

    path = f"{at(conversation, 'messages')}?branch=all"
    every = (await alice.get(path)).json()["items"]
    assert [(each["content"], each["branch"]) for each in every[1:]] == [
        ("first", 0),
        ("second", 1),
    ]
    missing = await alice.post(at(conversation, "drafts"), json={"after": an_id()})
    refused(missing, 404, "not-found")
    missing = await alice.post(f"{at(conversation, 'drafts')}?branch=7", json={})
    refused(missing, 404, "not-found")


async def test_an_answer_whose_place_is_gone_is_kept_at_the_end(
    alice: Caller, conversation: JsonObject
) -> None:
    [question] = await messages_of(alice, conversation)
    draft = await drafted(alice, conversation, "a", after=question["id"])
    await alice.delete(at(conversation, "messages", question["id"]))

    refused(await alice.post(draft_at(draft, "finish"), json={"epoch": 1}), 404, "not-found")
    assert (await alice.post(draft_at(draft, "cancel"), json={})).status_code == 200

    assert [each["content"] for each in await messages_of(alice, conversation)] == ["a"]


async def test_an_interrupted_answer_does_not_need_its_id(
    alice: Caller, conversation: JsonObject
) -> None:
    draft = await drafted(alice, conversation, "a")
    await alice.put(at(conversation, "messages", draft["message_id"]), json=says("taken"))

    refused(await alice.post(draft_at(draft, "finish"), json={"epoch": 1}), 409, "id-taken")
    cancelled = (await alice.post(draft_at(draft, "cancel"), json={})).json()

    assert cancelled["message"]["content"] == "a"
    assert cancelled["message"]["id"] == cancelled["draft"]["message_id"] != draft["message_id"]
    assert (await alice.post(draft_at(draft, "cancel"), json={})).json() == cancelled


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"seq": 1, "chunks": ["a"]}, "epoch"),
        ({"epoch": 1, "seq": 0, "chunks": ["a"]}, "seq"),
        ({"epoch": 1, "seq": 2**31, "chunks": ["a"]}, "seq"),
        ({"epoch": 1, "seq": 1, "chunks": []}, "chunks"),
        ({"epoch": 1, "seq": 1, "chunks": ["a", ""]}, "chunks[1]"),
        ({"epoch": 1, "seq": 1, "chunks": ["a", {}]}, "chunks[1]"),
        ({"epoch": 1, "seq": 1, "chunks": [1]}, "chunks[0]"),
        ({"epoch": 1, "seq": 1, "chunks": [{"type": "text-delta"}]}, "chunks"),
        ({"epoch": 1, "seq": 1, "chunks": ["a"], "text": "a"}, "text"),
    ],
)
async def test_a_wrong_write_is_told_its_field(
    alice: Caller, conversation: JsonObject, body: JsonObject, field: str
) -> None:
    draft = await drafted(alice, conversation)

    refused(await alice.post(draft_at(draft, "chunks"), json=body), 422, "invalid-value", field)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"lease": 0}, "lease"),
        ({"lease": 601}, "lease"),
        ({"format": "a b"}, "format"),
        ({"id": ""}, "id"),
        ({"message_id": "."}, "message_id"),
        ({"after": ""}, "after"),
        ({"unknown": 1}, "unknown"),
    ],
)
async def test_a_wrong_start_is_told_its_field(
    alice: Caller, conversation: JsonObject, body: JsonObject, field: str
) -> None:
    response = await alice.post(at(conversation, "drafts"), json=body)

    refused(response, 422, "invalid-value", field)


async def test_a_draft_has_limits(alice: Caller, conversation: JsonObject) -> None:
    draft = await drafted(alice, conversation, "a" * 60)
    long = {"epoch": 1, "seq": 2, "chunks": ["a" * 41]}
    many = {"epoch": 1, "seq": 2, "chunks": ["a"] * 30}

    refused(await alice.post(draft_at(draft, "chunks"), json=long), 422, "limit-exceeded", "chunks")
    refused(await alice.post(draft_at(draft, "chunks"), json=many), 422, "limit-exceeded", "chunks")
    whole = {"epoch": 1, "message": says("a" * 101, "assistant")}
    refused(
        await alice.post(draft_at(draft, "finish"), json=whole), 422, "limit-exceeded", "content"
    )
    assert (await alice.post(draft_at(draft, "finish"), json={"epoch": 1})).status_code == 200


async def test_a_format_of_ones_own_needs_the_whole_message(
    alice: Caller, conversation: JsonObject
) -> None:
    draft = await drafted(alice, conversation, format="our-bot")
    chunk = '{ "said" : 1.10 }'
    body = f'{{"epoch":1,"seq":1,"chunks":[{chunk},{{}}]}}'
    await alice.post(
        draft_at(draft, "chunks"),
        content=body.encode(),
        headers={"Content-Type": "application/json"},
    )

    read = await alice.get(draft_at(draft))
    assert chunk in read.text
    assert read.json()["chunks"] == [{"said": 1.1}, {}]
    finished = await alice.post(draft_at(draft, "finish"), json={"epoch": 1})
    refused(finished, 422, "invalid-value", "message")
    cancelled = (await alice.post(draft_at(draft, "cancel"), json={})).json()
    original = await alice.get(
        at(conversation, "messages", cancelled["message"]["id"]), params={"originals": True}
    )
    assert chunk in original.text
    assert json.loads(original.text)["original"] == [{"said": 1.1}, {}]


async def test_drafts_go_on_on_hold(service: Service, alice: Caller) -> None:
    conversation = await started(service.key(acting_for=alice.user_id), retain=True)
    draft = await drafted(alice, conversation, "a")

    assert (await alice.post(draft_at(draft, "finish"), json={"epoch": 1})).status_code == 200
    draft = await drafted(alice, conversation, "b")
    discarded = await alice.post(draft_at(draft, "cancel"), json={"keep": False})
    assert discarded.status_code == 200
    assert [each["content"] for each in await messages_of(alice, conversation)] == ["a"]


async def test_chunks_of_the_ai_sdk_become_a_ui_message(
    alice: Caller, conversation: JsonObject
) -> None:
    draft = await drafted(alice, conversation, format="ai-sdk", message_id="msg-7")
    chunks = [
        {"type": "start", "messageId": "msg-7"},
        {"type": "text-start", "id": "0"},
        {"type": "text-delta", "id": "0", "delta": "It was shipped."},
        {"type": "text-end", "id": "0"},
    ]
    await write(alice, draft, *chunks)

    assert (await alice.get(draft_at(draft))).json()["chunks"] == chunks
    finished = await alice.post(draft_at(draft, "finish"), json={"epoch": 1})

    message = finished.json()["message"]
    assert (message["id"], message["content"]) == ("msg-7", "It was shipped.")
    path = at(conversation, "messages", "msg-7")
    ui_message = (await alice.get(path, params={"format": "ai-sdk"})).json()
    text = {"type": "text", "text": "It was shipped.", "state": "done"}
    assert (ui_message["id"], ui_message["parts"]) == ("msg-7", [text])


async def test_drafts_are_counted() -> None:
    clock = Clock()
    async with serving(settings(), memory_chatkeep(clock=clock)) as service:
        alice = service.user("alice")
        conversation = await started(alice, says("Where is my order?"))
        for action, body in (("finish", {"epoch": 1}), ("cancel", {})):
            draft = await drafted(alice, conversation, "a", id=action)
            await alice.post(at(conversation, "drafts"), json={"id": action})  # sent again
            for _ in range(2):
                await alice.post(draft_at(draft, action), json=body)
        draft = await drafted(alice, conversation, "a")
        clock.wait(61)
        await alice.get(draft_at(draft))

        text = (await service.nobody().get("/metrics")).text

    for status, count in (("started", 3), ("finished", 1), ("cancelled", 1), ("interrupted", 1)):
        assert f'chatkeep_drafts_total{{status="{status}"}} {count}.0' in text
