"""Branches are started, switched, deleted and forked once, although answers are lost."""

import asyncio
import itertools
from dataclasses import dataclass, field
from random import Random
from typing import Any
from uuid import uuid4

import pytest

from tests.e2e.neon.service import ChatBackend, service
from tests.support.relay import Relay, Unlucky, once
from tests.support.service_process import some

WRITERS = 4
MOST_BRANCHES = 12
CHANGES = list(itertools.product(range(1, 5), ("start", "switch", "rename", "delete", "fork")))


def says(text: str, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - of any kind
    return {"role": "user", "content": text, "id": str(uuid4()), **fields}


async def branches_of(caller: ChatBackend, path: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await caller.call("GET", f"{path}/branches")).json()["items"]
    return found


@pytest.mark.parametrize(("query", "what"), some(CHANGES, every=7))
async def test_a_change_of_branches_whose_answer_is_lost_is_made_once(
    relay: Relay, what: str, query: int
) -> None:
    """The answer to one of its queries is lost; most changes have two or three."""
    async with service(relay.url()) as caller:
        path = f"/v1/conversations/{await caller.start()}"
        messages = [says(f"message {number}") for number in range(4)]
        await caller.call("POST", f"{path}/messages", {"messages": messages})
        after = messages[1]["id"]
        await caller.call("POST", f"{path}/messages", says("other", after=after))
        method, target, body = {
            "start": ("POST", f"{path}/messages", says("new", after=after)),
            "switch": ("PATCH", f"{path}/branches/0", {"is_current": True}),
            "rename": ("PATCH", f"{path}/branches/1", {"name": "other"}),
            "delete": ("DELETE", f"{path}/branches/0", None),
            "fork": ("POST", f"{path}/fork", {"id": str(uuid4())}),
        }[what]
        queries = 0

        def counts(request: bytes) -> bool:
            nonlocal queries
            queries += request[:1] == b"B"
            return queries == query

        relay.cut_when(once(counts))
        answer = await caller.http.request(method, target, json=body)
        relay.cut_when(None)

        assert queries > 1  # the one that was cut was sent again
        assert answer.is_success, answer.text
        found = await branches_of(caller, path)
        numbers = {"start": [0, 1, 2], "delete": [1]}.get(what, [0, 1])
        assert [each["number"] for each in found] == numbers
        current = {"start": 2, "switch": 0}.get(what, 1)
        assert [each["number"] for each in found if each["is_current"]] == [current]
        whole = (await caller.call("GET", f"{path}/messages?branch=all")).json()["items"]
        assert len(whole) == {"start": 6, "delete": 3}.get(what, 5)
        chats = (await caller.call("GET", "/v1/conversations")).json()["items"]
        assert len(chats) == 1 + (what == "fork")


@dataclass
class Writer:
    """Changes the branches of a conversation at random, and knows the path of each."""

    caller: ChatBackend
    dice: Random
    path: str = ""
    paths: dict[int, list[str]] = field(default_factory=lambda: {0: []})
    current: int = 0
    ids: dict[str, str] = field(default_factory=dict)

    async def start(self) -> None:
        self.path = f"/v1/conversations/{await self.caller.start()}"

    async def change(self) -> None:
        kind = self.dice.choice(["append", "append", "after", "after", "switch", "delete"])
        others = [number for number in self.paths if number != self.current]
        if len(self.paths) > MOST_BRANCHES:
            kind = "delete"
        if kind == "append" or not self.ids:
            await self.append(self.current, None)
        elif kind == "after":
            place = self.dice.choice([*self.ids])
            await self.append(None, place)
        elif others and kind == "switch":
            self.current = self.dice.choice(others)
            await self.send("PATCH", f"/branches/{self.current}", {"is_current": True})
        elif others:
            await self.delete(self.dice.choice(others))

    async def append(self, branch: int | None, place: str | None) -> None:
        message = says(f"message {len(self.ids)} {uuid4()}")
        text, self.ids[message["content"]] = message["content"], message["id"]
        after = {} if place is None else {"after": self.ids[place]}
        found = (await self.send("POST", "/messages", message | after)).get("branch", 0)
        if branch is not None:
            assert found == branch
        elif found in self.paths:
            assert self.paths[found][-1] == place
        else:
            path = next(each for each in self.paths.values() if place in each)
            self.paths[found] = path[: path.index(place or "") + 1]
        self.paths[found].append(text)
        self.current = found

    async def delete(self, branch: int) -> None:
        await self.send("DELETE", f"/branches/{branch}")
        del self.paths[branch]
        left = {text for path in self.paths.values() for text in path}
        self.ids = {text: each for text, each in self.ids.items() if text in left}

    async def send(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        answer = await self.caller.call(method, self.path + path, body)
        assert answer.is_success, f"{method} {path}: {answer.text}"
        found: dict[str, Any] = answer.json() if answer.content else {}
        return found

    async def check(self) -> None:
        """Assert that every branch has its messages in order, and that there are no others."""
        for number, path in self.paths.items():
            page = await self.send("GET", f"/messages?limit=100&branch={number}")
            assert [each["content"] for each in page["items"]] == path[:100]
        found = await branches_of(self.caller, self.path)
        assert {each["number"] for each in found} == set(self.paths)
        count = (await self.caller.call("GET", self.path)).json()["message_count"]
        assert count == len(self.ids)


async def test_random_changes_of_branches_over_a_network_that_breaks_are_each_made_once(
    relay: Relay,
    full: bool,  # noqa: FBT001 - a fixture
) -> None:
    unlucky = Unlucky(Random(11), 0.07)
    async with service(relay.url()) as caller:
        writers = [Writer(caller, Random(number)) for number in range(WRITERS)]
        for writer in writers:
            await writer.start()
        relay.cut_when(unlucky)

        async def write(writer: Writer) -> None:
            for _ in range(150 if full else 30):
                await writer.change()

        await asyncio.gather(*map(write, writers))
        relay.cut_when(None)
        for writer in writers:
            await writer.check()
    assert unlucky.count > 5
