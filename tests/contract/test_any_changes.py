"""Both stores give the same answers to any sequence of changes, and have the same afterwards.

Steps are chosen at random, in view of what the store in memory has: messages that are there and
some that are not, revisions that are current and some that are not, suffixes as they are or not.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from chatkeep.adapters.memory.stores import memory_stores
from chatkeep.domain.branches import EVERY
from chatkeep.domain.editing import MessagePatch
from chatkeep.domain.errors import ChatkeepError
from chatkeep.domain.log import EVERYTHING, NewEntry, RequestKey, View, entries_of
from chatkeep.domain.model import (
    BranchNumber,
    Changes,
    Conversation,
    JsonText,
    Limits,
    Message,
    MessageId,
    NewMessage,
    Order,
    Position,
    Role,
)
from chatkeep.domain.operations.selftest.builders import ALICE, NOON, new_item, new_message
from chatkeep.domain.operations.selftest.store import StoreUnderTest
from chatkeep.domain.places import After, AtTip, Place
from chatkeep.testing.builders import CALLS, new_conversation_id, new_message_id, normalize
from tests.support.service_process import FULL

pytestmark = pytest.mark.postgres

STEPS = 60
METADATA = ["{}", '{"a":1}', '{"a":true}', '{"a":{"b":null,"c":[1.50]}}', '{"b":"\\u0000"}']
PATCHES = [*METADATA, "null", '{"a":null}', '{"a":{"c":null,"d":2}}']
ITEMS = [
    '{"type":"reasoning","summary":[]}',
    '{"role":"user","content":"an item"}',
    '{"type":"reasoning","id":"rs_own","summary":[]}',
    '{"role":"assistant","content":"own","id":"msg_own"}',
]

Call = Callable[[StoreUnderTest], Awaitable[Any]]


def plain(value: Any) -> Any:  # noqa: ANN401 - any answer
    """Return an answer with JSON in one form."""
    if isinstance(value, Message):
        return normalize(value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(plain, value))
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if hasattr(value, "__dataclass_fields__"):
        return {name: plain(getattr(value, name)) for name in value.__dataclass_fields__}
    return value


async def outcome(call: Awaitable[Any]) -> Any:  # noqa: ANN401 - of any kind
    try:
        return plain(await call)
    except ChatkeepError as error:
        return type(error).__name__, str(error), vars(error)


@dataclass
class Player:
    """Makes random calls, each the same for both stores."""

    dice: Random
    memory: StoreUnderTest
    conversations: list[Conversation]
    ids: list[MessageId] = field(default_factory=lambda: [new_message_id() for _ in range(12)])
    branches: int = 0
    at: int = 0
    items: int = 0

    def now(self) -> Any:  # noqa: ANN401 - a time
        """Return a time that may stand still or go back."""
        self.at += self.dice.choice([-3, 0, 1, 5])
        return NOON + timedelta(seconds=self.at)

    async def step(self) -> tuple[str, Call]:
        names = {
            "append": 4,
            "append after": self.branches,
            "switch": self.branches // 2,
            "delete branch": self.branches // 3,
            "append items": 2,
            "put": 4,
            "patch": 3,
            "delete": 2,
            "delete at": 1,
            "truncate": 2,
            "replace": 4,
            "hold": 1,
        }
        [name] = self.dice.choices([*names], [*names.values()])
        conversation = self.dice.choice(self.conversations)
        make = getattr(self, name.replace(" ", "_"))
        call: Call = await make(conversation)
        return name, call

    async def expected(self, conversation: Conversation) -> int | None:
        if self.dice.random() < 0.7:
            return None
        current = (await self.memory.reload(conversation)).revision
        return current - self.dice.choice([0, 0, 1])

    def message(self) -> NewMessage:
        role = self.dice.choice([Role.USER, Role.ASSISTANT])
        calls = CALLS if role is Role.ASSISTANT and self.dice.random() < 0.3 else None
        return new_message(
            self.dice.choice(["a", "b", "\x00"]),
            role,
            id=self.dice.choice(self.ids),
            tool_calls=calls,
            name=self.dice.choice([None, None, "Ann"]),
            metadata=JsonText(self.dice.choice(METADATA)),
        )._replace(
            tokens=self.dice.choice([None, None, 5]),
            parts=self.dice.choice([None, None, None, JsonText('[{"type":"text","text":"a"}]')]),
        )

    def fresh(self) -> NewMessage:
        return self.message()._replace(id=new_message_id())

    def key(self) -> RequestKey | None:
        if self.dice.random() < 0.7:
            return None
        return RequestKey(self.dice.choice(["one", "two"]), self.dice.choice(["x", "y"]))

    async def append(self, conversation: Conversation) -> Call:
        make = self.dice.choice([self.message, self.fresh])
        entries = entries_of([make() for _ in range(self.dice.choice([1, 1, 3]))])
        at, key, expected = self.now(), self.key(), await self.expected(conversation)
        return lambda store: store.log.append(
            ALICE, conversation.id, entries, at, key=key, expected=expected
        )

    async def append_after(self, conversation: Conversation) -> Call:
        message_id = await self.some(conversation)
        places: list[Place] = [
            *(After(message_id), After(message_id), After(None), AtTip(self.number()))
        ]
        place = self.dice.choice(places)
        entries = entries_of([self.fresh() for _ in range(self.dice.choice([1, 2]))])
        at, key, expected = self.now(), self.key(), await self.expected(conversation)
        return lambda store: store.log.append(
            ALICE, conversation.id, entries, at, place=place, key=key, expected=expected
        )

    async def switch(self, conversation: Conversation) -> Call:
        number, expected = self.number(), await self.expected(conversation)
        return lambda store: store.log.change_branches(
            ALICE, conversation.id, lambda tree: tree.switch(number), expected=expected
        )

    async def delete_branch(self, conversation: Conversation) -> Call:
        number, expected = self.number(), await self.expected(conversation)
        return lambda store: store.log.delete_branch(
            ALICE, conversation.id, number, expected=expected
        )

    def number(self) -> BranchNumber:
        return BranchNumber(self.dice.randrange(4))

    async def append_items(self, conversation: Conversation) -> Call:
        texts = self.dice.choices(ITEMS, k=self.dice.choice([1, 2]))
        entries: list[NewEntry] = [new_item(text) for text in texts]
        # Equal items of the same microsecond are taken for one append that ran twice.
        self.items += 1
        at = self.now() + timedelta(microseconds=self.items)
        expected = await self.expected(conversation)
        return lambda store: store.log.append(
            ALICE, conversation.id, entries, at, expected=expected
        )

    async def put(self, conversation: Conversation) -> Call:
        message, at, expected = self.message(), self.now(), await self.expected(conversation)
        return lambda store: store.log.put(ALICE, conversation.id, message, at, expected=expected)

    async def patch(self, conversation: Conversation) -> Call:
        patch = MessagePatch(
            metadata=JsonText(self.dice.choice(PATCHES)),
            tokens=self.dice.choice([None, 5, 6]),
            limits=Limits(max_metadata_bytes=self.dice.choice([0, 20])),
        )
        message_id, expected = await self.some(conversation), await self.expected(conversation)
        return lambda store: store.log.patch(
            ALICE, conversation.id, message_id, patch, expected=expected
        )

    async def delete(self, conversation: Conversation) -> Call:
        message_id, expected = await self.some(conversation), await self.expected(conversation)
        return lambda store: store.log.delete(ALICE, conversation.id, message_id, expected=expected)

    async def delete_at(self, conversation: Conversation) -> Call:
        page = await self.memory.log.page(
            ALICE, conversation.id, EVERYTHING, view=View.WHOLE, order=Order.ASC, limit=100
        )
        position = self.dice.choice([Position(1), *(entry.position for entry in page.items)])
        expected = await self.expected(conversation)
        return lambda store: store.log.delete_at(
            ALICE, conversation.id, position, expected=expected
        )

    async def truncate(self, conversation: Conversation) -> Call:
        message_id, expected = await self.some(conversation), await self.expected(conversation)
        keep = self.dice.random() < 0.6
        return lambda store: store.log.truncate(
            ALICE, conversation.id, message_id, keep=keep, expected=expected
        )

    async def replace(self, conversation: Conversation) -> Call:
        history = await self.memory.history(conversation)
        start = max(0, len(history) - self.dice.randrange(4))
        after = history[start - 1].id if start else None
        suffix = [message.id for message in history[start:]]
        make = self.dice.choice([self.message, self.fresh])
        new = [make() for _ in range(self.dice.randrange(3))]
        if self.dice.random() < 0.3:  # what is there already, or nearly
            new = [
                new_message(each.content, each.role, id=each.id, metadata=each.metadata)
                for each in history[start:]
            ]
        if self.dice.random() < 0.2:
            suffix = suffix[1:]
        if self.dice.random() < 0.1:
            after = self.dice.choice(self.ids)
        at, key, expected = self.now(), self.key(), await self.expected(conversation)
        return lambda store: store.log.replace(
            ALICE, conversation.id, after, suffix, new, at, key=key, expected=expected
        )

    async def hold(self, conversation: Conversation) -> Call:
        changes = Changes(retain=self.dice.random() < 0.4)
        return lambda store: store.conversations.change(ALICE, conversation.id, changes)

    async def some(self, conversation: Conversation) -> MessageId:
        """Return the id of a message, mostly of one that is there."""
        history = await self.memory.history(conversation)
        late = [message.id for message in history[-3:]]
        return self.dice.choice([*late, *late, self.dice.choice(self.ids)])


async def everything(store: StoreUnderTest, conversation: Conversation) -> Any:  # noqa: ANN401
    pages = [
        await store.log.page(
            ALICE,
            conversation.id,
            EVERYTHING,
            view=View.WHOLE,
            order=Order.ASC,
            limit=1_000,
            branch=branch,
        )
        for branch in (None, EVERY)
    ]
    return await outcome(store.reload(conversation)), [plain(list(each.items)) for each in pages]


@pytest.mark.parametrize("branches", [0, 6])
@pytest.mark.parametrize("seed", range(60 if FULL else 4))
async def test_any_changes_have_the_same_effect_in_both_stores(
    postgres_store: StoreUnderTest, seed: int, branches: int
) -> None:
    memory = StoreUnderTest.of(memory_stores())
    ids = [new_conversation_id() for _ in range(2)]
    for store in (memory, postgres_store):
        conversations = [await store.start(id=each) for each in ids]
    player = Player(Random(seed), memory, conversations, branches=branches)
    done = []

    for _ in range(STEPS):
        name, call = await player.step()
        found, expected = await outcome(call(postgres_store)), await outcome(call(memory))
        done.append((name, expected))
        assert found == expected, (name, done[-5:])
        for conversation in conversations:
            in_postgres = await everything(postgres_store, conversation)
            assert in_postgres == await everything(memory, conversation), done[-5:]

    assert len({name for name, _ in done}) >= 7
