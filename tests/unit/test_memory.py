"""The bytes that large requests and answers hold: for one user, and for all of them."""

import pytest

from chatkeep.domain.model import UserId
from chatkeep.entrypoints.http.middleware.memory import SHARES, MemoryBudget, MemoryReservation
from chatkeep.entrypoints.http.problems import ProblemError

ALICE, BOB, CAROL, DAVE, ERIN = map(UserId, ("alice", "bob", "carol", "dave", "erin"))
LIMIT = 100
SHARE = LIMIT // SHARES


def status_of(held: MemoryReservation, size: int) -> int:
    with pytest.raises(ProblemError) as caught:
        held.reserve(size)
    assert caught.value.headers["Retry-After"] == "1"
    assert "CHATKEEP_MAX_BYTES_AT_ONCE" in caught.value.detail
    return caught.value.status


def test_what_is_alone_is_taken_whatever_its_size() -> None:
    memory = MemoryBudget(LIMIT, lambda _: None)
    alone = MemoryReservation(memory, ALICE)
    for _ in range(10):
        alone.reserve(LIMIT)
    assert memory.held == 10 * LIMIT


def test_a_user_has_a_share_and_all_have_the_whole() -> None:
    refused: list[str] = []
    memory = MemoryBudget(LIMIT, refused.append)
    MemoryReservation(memory, ALICE).reserve(SHARE - 1)
    MemoryReservation(memory, ALICE).reserve(1)
    assert status_of(MemoryReservation(memory, ALICE), 1) == 429
    for user in (BOB, CAROL, DAVE):
        MemoryReservation(memory, user).reserve(SHARE)
    assert status_of(MemoryReservation(memory, ERIN), 1) == 503
    assert refused == ["user_at_once", "overloaded"]


def test_what_is_given_back_is_there_for_others_and_nobody_is_remembered() -> None:
    memory = MemoryBudget(LIMIT, lambda _: None)
    first, second = MemoryReservation(memory, ALICE), MemoryReservation(memory, ALICE)
    first.reserve(SHARE)
    assert status_of(second, 1) == 429
    first.release()
    first.release()
    second.reserve(SHARE)
    second.release()
    assert memory.held == 0
    assert memory.of_user == {}


def test_what_cannot_be_refused_any_more_counts_all_the_same() -> None:
    memory = MemoryBudget(LIMIT, lambda _: None)
    MemoryReservation(memory, ALICE).reserve(1)
    MemoryReservation(memory, ALICE).force(10 * LIMIT)
    assert status_of(MemoryReservation(memory, BOB), 1) == 503


def test_nothing_is_no_bound() -> None:
    memory = MemoryBudget(0, lambda _: None)
    for user in (ALICE, ALICE, BOB):
        MemoryReservation(memory, user).reserve(10 * LIMIT)
