"""The tree of branches against a plain model of one, and as it is exported and imported."""

from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatkeep.domain.branches import MAIN, Tree
from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.formats.branches import BranchWriter, dated, take_branches
from chatkeep.domain.log import EVERYTHING, Entry, View, messages_in
from chatkeep.domain.model import BranchNumber, Order, Position
from chatkeep.domain.ranges import START, contains
from tests.unit.transfers import ALICE, StoreWithTransfer, says

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
STEPS = st.lists(
    st.tuples(st.sampled_from(["append", "start", "switch", "remove"]), st.integers(0, 10**6)),
    max_size=40,
)


class Model:
    """Paths as plain lists of positions."""

    def __init__(self) -> None:
        self.tree = Tree.linear(Position(0), NOON)
        self.paths: dict[int, list[int]] = {0: []}
        self.entries: list[int] = []

    def append(self) -> None:
        position = Position(self.tree.last_position + 1)
        self.tree = replace(self.tree, last_position=position)
        self.entries.append(position)
        self.paths[self.tree.current].append(position)

    def start(self, choice: int) -> None:
        places = [START, *self.entries]
        place = Position(places[choice % len(places)])
        writer = self.tree.writer(place) if place != START else None
        self.tree = self.tree.start(place, NOON)
        shared = [] if writer is None else [p for p in self.paths[writer] if p <= place]
        self.paths[self.tree.current] = shared

    def switch(self, choice: int) -> None:
        self.tree = self.tree.switch(BranchNumber(sorted(self.paths)[choice % len(self.paths)]))

    def remove(self, choice: int) -> None:
        others = [each for each in self.paths if each != self.tree.current]
        if others:
            number = BranchNumber(others[choice % len(others)])
            self.tree, freed = self.tree.remove(number)
            del self.paths[number]
            self.entries = [each for each in self.entries if not contains(freed, Position(each))]

    def check(self) -> None:
        for number, path in self.paths.items():
            ranges = self.tree.path(BranchNumber(number))
            assert [p for p in self.entries if contains(ranges, Position(p))] == path
            assert all(one.last < other.first for one, other in pairwise(ranges))
        shown = {position for path in self.paths.values() for position in path}
        assert shown == {*self.entries}


def built(steps: list[tuple[str, int]]) -> Model:
    model = Model()
    for step, choice in steps:
        if step == "append":
            model.append()
        else:
            getattr(model, step)(choice)
        model.check()
    return model


@given(STEPS)
@settings(max_examples=300, deadline=None)
def test_every_branch_has_its_path_whatever_is_done(steps: list[tuple[str, int]]) -> None:
    built(steps)


@given(STEPS)
@settings(max_examples=200, deadline=None)
def test_what_is_exported_is_imported_again(steps: list[tuple[str, int]]) -> None:
    model = built(steps)
    writer = BranchWriter(model.tree)
    messages = [
        writer.mark({"n": position}, Entry(Position(position), NOON, None))
        for position in model.entries
    ]
    document: dict[str, Any] = writer.tail()
    for branch in document["branches"]:
        branch["created_at"] = branch["created_at"].isoformat()

    tree = take_branches(document, messages)

    assert tree is not None
    assert tree.current == model.tree.current
    for number, path in model.paths.items():
        ranges = tree.path(BranchNumber(number))
        found = [
            position
            for place, position in enumerate(model.entries, 1)
            if contains(ranges, Position(place))
        ]
        assert found == path


def document(*branches: dict[str, Any], branch: object = 0) -> dict[str, Any]:
    return {"branches": [*branches], "branch": branch}


MAIN_BRANCH = {"number": 0, "left_after": 0}


@pytest.mark.parametrize(
    ("given_document", "numbers", "field"),
    [
        ({}, [None, 1], "branches"),
        ({"branch": 0}, [None], "branches"),
        (document(MAIN_BRANCH, branch=None), [], "branch"),
        (document(MAIN_BRANCH, branch=1), [], "branch"),
        (document(MAIN_BRANCH), [1], "messages[0].branch"),
        (document(MAIN_BRANCH, MAIN_BRANCH), [], "branches[1].number"),
        (document({**MAIN_BRANCH, "parent": 3}), [], "branches[0].parent"),
        (document({**MAIN_BRANCH, "parent": 0}), [], "branches[0].parent"),
        (document({**MAIN_BRANCH, "left_after": 1}), [None], "branches[0].left_after"),
        (document({**MAIN_BRANCH, "color": 1}), [], "branches[0].color"),
        (document({**MAIN_BRANCH, "name": "x" * 201}), [], "branches[0].name"),
        (
            document(MAIN_BRANCH, {"number": 1, "parent": 0, "left_after": 2}),
            [None, 1],
            "branches[1].left_after",
        ),
        (
            document(
                MAIN_BRANCH,
                {"number": 1, "parent": 0, "left_after": 2},
                {"number": 2, "parent": 1, "left_after": 1},
            ),
            [None, None],
            "branches[2].left_after",
        ),
        (
            document(
                MAIN_BRANCH,
                {"number": 1, "parent": 2, "left_after": 1},
                {"number": 2, "parent": 1, "left_after": 1},
            ),
            [None],
            "branches[1].parent",
        ),
    ],
)
def test_branches_that_contradict_each_other_are_refused(
    given_document: dict[str, Any], numbers: list[int | None], field: str
) -> None:
    messages = [{} if number is None else {"branch": number} for number in numbers]

    with pytest.raises(InvalidValueError) as refused:
        take_branches(given_document, messages)

    assert refused.value.field == field


def test_a_branch_without_a_time_gets_that_of_the_conversation() -> None:
    tree = take_branches(document(MAIN_BRANCH), [])

    assert tree is not None
    assert dated(tree, NOON)[MAIN].created_at == NOON


async def test_an_export_with_branches_is_imported_unchanged() -> None:
    source, target = StoreWithTransfer(), StoreWithTransfer()
    messages = [{**says(text), "branch": number} for text, number in BRANCHED]
    line = {
        "messages": messages,
        "branches": [
            MAIN_BRANCH,
            {"number": 1, "parent": 0, "left_after": 1, "name": "shorter"},
            {"number": 4, "parent": 1, "left_after": 3},
        ],
        "branch": 4,
        "forked_from": {"conversation_id": "another", "message_id": None},
    }

    assert await source.take(line)
    [exported] = await source.exported()

    assert [(each["content"], each.get("branch", 0)) for each in exported["messages"]] == BRANCHED
    assert exported["forked_from"] == line["forked_from"]
    assert await target.take(exported)
    assert not await target.take(exported)
    assert await target.exported() == [exported]
    [conversation] = [piece.conversation async for piece in target.transfer.export(ALICE)]
    page = await target.log.page(
        ALICE, conversation.id, EVERYTHING, view=View.MESSAGES, order=Order.ASC, limit=10
    )
    assert [each.content for each in messages_in(page.items)] == ["a", "c", "d", "f"]


async def test_formats_without_branches_get_the_current_one() -> None:
    store = StoreWithTransfer()
    messages = [{**says(text), "branch": number} for text, number in BRANCHED]
    branches = [MAIN_BRANCH, {"number": 1, "parent": 0, "left_after": 1}]
    branches.append({"number": 4, "parent": 1, "left_after": 3})
    await store.take({"messages": messages, "branches": branches, "branch": 1})

    [piece] = [each async for each in store.transfer.export(ALICE, every_branch=False)]

    texts = [entry.message.content for entry in piece.entries if entry.message is not None]
    assert (texts, piece.tree, piece.other_branches) == (["a", "c", "d"], None, 2)


BRANCHED = [("a", 0), ("c", 1), ("d", 1), ("b", 0), ("f", 4)]
