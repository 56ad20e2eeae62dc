"""Messages are edited, and logs truncated and replaced, once, although answers are lost."""

import asyncio
import itertools
from dataclasses import dataclass, field
from random import Random
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from tests.e2e.neon.service import ChatBackend, service
from tests.support.postgres import connect_args
from tests.support.relay import Relay, Unlucky, once
from tests.support.service_process import some

LOST = b"the lost one"
LOST_TEXT = LOST.decode()
WRITERS = 6
CHANGES = list(
    itertools.product(("put", "edit", "patch", "after", "from", "replace"), (True, False))
)


def says(text: str, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - of any kind
    return {"role": "user", "content": text, **fields}


async def started(caller: ChatBackend) -> tuple[str, list[str]]:
    """Return the path of the messages of a new conversation, and the ids of three of them."""
    path = f"/v1/conversations/{await caller.start()}/messages"
    ids = [str(uuid4()) for _ in range(3)]
    messages = [says(f"message {number}", id=each) for number, each in enumerate(ids)]
    answer = await caller.call("POST", path, {"messages": messages})
    assert answer.headers["etag"] == '"2"'
    return path, ids


@pytest.mark.parametrize(("what", "expects"), some(CHANGES, every=3))
async def test_a_change_whose_answer_is_lost_is_made_once(
    relay: Relay, what: str, *, expects: bool
) -> None:
    async with service(relay.url()) as caller:
        path, [first, second, third] = await started(caller)
        label = {"metadata": {"label": LOST_TEXT}}
        replacement = {"after": first, "expected": [second, third], "messages": [says(LOST_TEXT)]}
        method, target, body, left = {
            "put": ("PUT", f"{path}/{uuid4()}", says(LOST_TEXT), 4),
            "edit": ("PUT", f"{path}/{second}", says(LOST_TEXT), 3),
            "patch": ("PATCH", f"{path}/{second}", label, 3),
            "after": ("DELETE", f"{path}?after={first}", None, 1),
            "from": ("DELETE", f"{path}?from={second}", None, 1),
            "replace": ("PUT", path, replacement, 2),
        }[what]
        relay.cut_when(
            once(lambda request: request[:1] == b"B" if body is None else LOST in request)
        )

        answer = await caller.http.request(
            method,
            target,
            headers={"If-Match": '"2"'} if expects else {},
            json=body,
        )
        history = (await caller.call("GET", path)).json()["items"]

        assert answer.status_code == (201 if what == "put" else 200), answer.text
        assert answer.headers["etag"] == '"3"'
        assert (await caller.call("GET", path)).headers["etag"] == '"3"'
        assert len(history) == left
        assert str(history).count(LOST_TEXT) == (body is not None)
        if what == "replace":
            assert answer.json()["messages"] == history[1:]


@dataclass
class Writer:
    """Changes a conversation of its own at random, and knows what must be in it.

    `messages` are the contents and labels by id, in order.
    """

    caller: ChatBackend
    dice: Random
    path: str = ""
    messages: dict[str, tuple[str, dict[str, int]]] = field(default_factory=dict)
    changes: int = 0

    async def start(self) -> None:
        self.path = f"/v1/conversations/{await self.caller.start()}/messages"

    async def change(self) -> None:
        self.changes += 1
        ids = [*self.messages]
        kind = self.dice.choice(["append", "put", "edit", "patch", "delete", "truncate", "replace"])
        if kind in {"append", "put"} or not ids:
            await self.add(put=kind == "put")
        elif kind == "edit":
            await self.edit(self.dice.choice(ids))
        elif kind == "patch":
            await self.patch(self.dice.choice(ids))
        elif kind == "delete":
            chosen = self.dice.choice(ids)
            await self.send("DELETE", f"{self.path}/{chosen}")
            del self.messages[chosen]
        else:
            at = max(0, len(ids) - 1 - self.dice.randrange(3))
            await (self.truncate(ids, at) if kind == "truncate" else self.replace(ids, at))

    async def add(self, *, put: bool) -> None:
        message_id, text = str(uuid4()), f"change {self.changes}"
        if put:
            await self.send("PUT", f"{self.path}/{message_id}", says(text))
        else:
            await self.send("POST", self.path, says(text, id=message_id))
        self.messages[message_id] = (text, {})

    async def edit(self, message_id: str) -> None:
        text = f"change {self.changes}"
        await self.send("PUT", f"{self.path}/{message_id}", says(text))
        self.messages[message_id] = (text, {})

    async def patch(self, message_id: str) -> None:
        text, labels = self.messages[message_id]
        label = {f"label {self.changes}": self.changes}
        await self.send("PATCH", f"{self.path}/{message_id}", {"metadata": label})
        self.messages[message_id] = (text, labels | label)

    async def truncate(self, ids: list[str], at: int) -> None:
        await self.send("DELETE", f"{self.path}?after={ids[at]}")
        for gone in ids[at + 1 :]:
            del self.messages[gone]

    async def replace(self, ids: list[str], at: int) -> None:
        new = [says(f"change {self.changes}, {n}", id=str(uuid4())) for n in range(2)]
        body = {"after": ids[at], "expected": ids[at + 1 :], "messages": new}
        await self.send("PUT", self.path, body)
        for gone in ids[at + 1 :]:
            del self.messages[gone]
        self.messages |= {each["id"]: (each["content"], {}) for each in new}

    async def send(self, method: str, path: str, body: object = None) -> None:
        answer = await self.caller.call(method, path, body)
        assert answer.is_success, f"{method} {path}: {answer.text}"

    async def check(self, connection: asyncpg.Connection) -> None:
        """Assert that exactly the messages that it knows of are there, in order, and counted."""
        history = (await self.caller.call("GET", f"{self.path}?limit=100")).json()["items"]
        assert {
            each["id"]: (each["content"], each["metadata"]) for each in history
        } == self.messages
        assert [each["id"] for each in history] == [*self.messages]
        conversation = self.path.split("/")[3]
        row = await connection.fetchrow(
            "SELECT message_count, revision FROM conversations WHERE id::text = $1", conversation
        )
        assert row["message_count"] == len(self.messages)
        assert row["revision"] <= self.changes + 1  # some truncations had nothing to delete


async def test_random_changes_over_a_network_that_breaks_are_each_made_once(
    relay: Relay,
    database_url: str,
    full: bool,  # noqa: FBT001 - a fixture
) -> None:
    unlucky = Unlucky(Random(7), 0.1)
    async with service(relay.url()) as caller:
        writers = [Writer(caller, Random(number)) for number in range(WRITERS)]
        for writer in writers:
            await writer.start()
        relay.cut_when(unlucky)

        async def write(writer: Writer) -> None:
            for _ in range(400 if full else 40):
                await writer.change()
                if len(writer.messages) > 60:
                    writer.changes += 1
                    await writer.truncate([*writer.messages], 20)

        await asyncio.gather(*map(write, writers))
        relay.cut_when(None)
        connection = await asyncpg.connect(**connect_args(database_url))
        for writer in writers:
            await writer.check(connection)
        await connection.close()
    assert unlucky.count > 10
