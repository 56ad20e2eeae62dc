"""Paths that are not stored with a branch are found from branch to branch."""

import asyncio
from typing import Any

import pytest

from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.stored_paths import MOST_RANGES
from chatkeep.domain.branches import MAIN
from chatkeep.domain.context import select
from chatkeep.domain.log import Bounds, View, entries_of
from chatkeep.domain.model import BranchNumber, Order
from chatkeep.domain.operations.selftest.builders import ALICE, NOON, new_message
from chatkeep.domain.operations.selftest.store import StoreUnderTest
from chatkeep.domain.places import After
from chatkeep.testing.builders import contents
from chatkeep.testing.contract.branches import Chat
from tests.support.postgres import query

pytestmark = pytest.mark.postgres


async def forget_paths(engine: Engine) -> None:
    """Leave the branches as an earlier version stores them."""
    await query(engine, "UPDATE conversation_branches SET path_firsts = NULL, path_lasts = NULL")


async def nested(store: StoreUnderTest, depth: int) -> tuple[Chat, dict[BranchNumber, list[str]]]:
    """Return a chat in which each branch left the one before, and the paths."""
    chat = await Chat.start(store, "q0", "a0")
    paths = {MAIN: ["q0", "a0"]}
    for number in range(1, depth + 1):
        *shared, _ = paths[BranchNumber(number - 1)]
        await chat.say_after(shared[-1], f"b{number}", f"q{number}", f"a{number}")
        paths[BranchNumber(number)] = [*shared, f"b{number}", f"q{number}", f"a{number}"]
    return chat, paths


async def check(chat: Chat, paths: dict[BranchNumber, list[str]]) -> None:
    its = chat.conversation
    for number in (min(paths), max(paths) // 2, max(paths) - 1, max(paths)):
        path = paths[BranchNumber(number)]
        assert await chat.read(BranchNumber(number)) == " ".join(path)
        window = await chat.store.log.window(ALICE, its.id, limit=3, branch=BranchNumber(number))
        assert contents(select(window).messages) == path[-3:]
        page = await chat.store.log.branch_page(
            ALICE,
            its.id,
            Bounds(),
            view=View.MESSAGES,
            order=Order.DESC,
            limit=2,
            branch=BranchNumber(number),
        )
        assert [each.parent_id for each in page.items][:1] == [chat.ids[path[-2]]]
    assert await chat.read() == " ".join(paths[max(paths)])


async def test_branches_of_an_earlier_version_read_the_same(
    postgres_store: StoreUnderTest, engine: Engine
) -> None:
    chat, paths = await nested(postgres_store, 5)
    await forget_paths(engine)

    await check(chat, paths)
    await chat.say_after("b3", "x", "y")
    paths[BranchNumber(6)] = [*paths[BranchNumber(3)][:-2], "x", "y"]
    await check(chat, paths)


async def test_more_ranges_than_are_stored_read_the_same(
    postgres_store: StoreUnderTest, engine: Engine
) -> None:
    chat, paths = await nested(postgres_store, MOST_RANGES + 3)

    rows = await query(
        engine, "SELECT number FROM conversation_branches WHERE path_firsts IS NULL ORDER BY number"
    )
    assert [row["number"] for row in rows] == [MOST_RANGES + 1, MOST_RANGES + 2, MOST_RANGES + 3]
    await check(chat, paths)


async def test_an_heir_made_by_an_earlier_version_reads_the_same(
    postgres_store: StoreUnderTest, engine: Engine
) -> None:
    chat, paths = await nested(postgres_store, 3)
    before = await query(
        engine, "SELECT number, path_firsts, path_lasts FROM conversation_branches"
    )
    await chat.delete_branch(BranchNumber(2))
    for row in before:  # the earlier version leaves them as they are
        await query(
            engine,
            "UPDATE conversation_branches SET path_firsts = :firsts::text::bigint[], "
            "path_lasts = :lasts::text::bigint[] WHERE number = :number",
            firsts=_array(row["path_firsts"]),
            lasts=_array(row["path_lasts"]),
            number=row["number"],
        )

    for number in (0, 1, 3):
        assert await chat.read(BranchNumber(number)) == " ".join(paths[BranchNumber(number)])
    await chat.say_after("q1", "z")
    assert await chat.read() == " ".join([*paths[BranchNumber(1)][:-1], "z"])


async def test_an_append_after_a_message_takes_two_statements(
    postgres_store: StoreUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat, _ = await nested(postgres_store, 2)
    statements: list[str] = []
    run = Engine.run

    this = asyncio.current_task()

    async def counting(engine: Engine, name: str, *rest: Any) -> object:  # noqa: ANN401 - handed on
        if asyncio.current_task() is this:  # a service of an earlier test may still read something
            statements.append(name)
        return await run(engine, name, *rest)

    monkeypatch.setattr(Engine, "run", counting)
    await postgres_store.log.append(
        ALICE,
        chat.conversation.id,
        entries_of([new_message("x")]),
        NOON,
        place=After(chat.ids["q1"]),
    )
    assert statements == ["branches.place", "log.append_placed"]
    statements.clear()
    await postgres_store.log.branch_page(
        ALICE,
        chat.conversation.id,
        Bounds(),
        view=View.MESSAGES,
        order=Order.ASC,
        limit=5,
        branch=BranchNumber(1),
    )
    assert len(statements) == 1


def _array(values: list[int] | None) -> str | None:
    return None if values is None else "{" + ",".join(map(str, values)) + "}"
