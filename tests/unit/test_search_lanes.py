"""Lanes are taken latest first, and what is read twice is found once."""

from datetime import UTC, datetime
from random import Random
from typing import Any, cast
from uuid import UUID

import pytest

from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.search import PiccoloSearch
from chatkeep.adapters.piccolo.search_lanes import LaneRange, Lanes
from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.domain.model import UserId
from chatkeep.domain.search_index import PLACE_BYTES
from chatkeep.domain.search_parser import parse_query
from chatkeep.domain.search_use_cases import UsersQuery

MINE = UserId("ann")
LANE = 10


def segment(number: int, *, lanes: int = 8) -> Any:  # noqa: ANN401 - as a row of the driver
    """Return a segment with lanes of ten positions each."""
    first = 1 + number * lanes * LANE
    return {
        "conversation_id": UUID(int=number % 3),
        "first": first,
        "last": first + lanes * LANE - 1,
        "places": b"".join((LANE * n).to_bytes(PLACE_BYTES) for n in range(1, lanes)),
    }


def positions(ranges: list[LaneRange]) -> set[tuple[UUID, int]]:
    return {(one.conversation_id, at) for one in ranges for at in range(one.low, one.high + 1)}


@pytest.mark.parametrize("joined", [True, False])
@pytest.mark.parametrize("count", [1, 5, 100])
def test_lanes_come_latest_first_and_none_is_missed(count: int, *, joined: bool) -> None:
    chance, upto = Random(count), 5 * 8 * LANE - 15
    masks = [chance.randrange(1, 256) for _ in range(8)]
    lanes = Lanes(upto)
    for number, mask in enumerate(masks):
        lanes.add(segment(number), mask)
    expected = {
        (UUID(int=number % 3), at)
        for number, mask in enumerate(masks)
        for lane in range(8)
        if mask >> lane & 1
        for at in range(1 + (number * 8 + lane) * LANE, 1 + (number * 8 + lane + 1) * LANE)
        if at <= upto
    }

    taken: list[LaneRange] = []
    while newest := lanes.newest:
        batch = list(lanes.take(count, joined=joined))
        assert batch[0].high == newest
        assert lanes.newest < newest
        taken += batch

    assert [one.high for one in taken] == sorted((one.high for one in taken), reverse=True)
    assert positions(taken) == expected
    assert sum(one.high - one.low + 1 for one in taken) == len(expected)


def test_joined_lanes_are_one_range() -> None:
    lanes = Lanes(10_000)
    lanes.add(segment(0), 0b1110_0111)

    assert list(lanes.take(100, joined=True)) == [
        LaneRange(UUID(int=0), 51, 80),
        LaneRange(UUID(int=0), 1, 30),
    ]


class TwiceEngine:
    """Has one message, twice: its segment was made again while a search went on."""

    def __init__(self) -> None:
        self.floors = [41, 0]

    async def fetch(self, statement: Statement, **values: object) -> list[dict[str, Any]]:
        now = datetime(2026, 1, 1, tzinfo=UTC)
        if statement.name == "search.candidates":
            floor = self.floors.pop(0)
            return [{**segment(0), "floor": floor, "lanes": 1}]
        if statement.name == "search.lanes":
            message = {
                "id": UUID(int=7),
                "text_id": None,
                "position": 5,
                "role": "user",
                "item": None,
            }
            kept = {"content": "the way", "parts": None, "tool_calls": None, "has_file": False}
            its = {"title": None, "status": "active", "branch": None, "conversation_text_id": None}
            place = {"conversation_id": UUID(int=0), "created_at": now, "compared": 1}
            return [{**message, **kept, **its, **place}]
        return []


async def test_a_message_that_is_read_twice_is_found_once() -> None:
    search = PiccoloSearch(cast(Engine, TwiceEngine()))

    found = await search.find(MINE, UsersQuery(parse_query("way"), MINE), limit=20)

    assert [hit.place.position for hit in found.hits] == [5]
