"""The bytes that large requests and answers hold: for one user, and for all of them."""

import pytest

from chatkeep.domain.model import UserId
from chatkeep.entrypoints.http.middleware.memory import SHARES, Held, Memory
from chatkeep.entrypoints.http.problems import ProblemError

ALICE, BOB, CAROL, DAVE, ERIN = map(UserId, ("alice", "bob", "carol", "dave", "erin"))
LIMIT = 100
SHARE = LIMIT // SHARES


def status_of(held: Held, size: int) -> int:
    with pytest.raises(ProblemError) as caught:
        held.take(size)
    assert caught.value.headers["Retry-After"] == "1"
    assert "CHATKEEP_MAX_BYTES_AT_ONCE" in caught.value.detail
    return caught.value.status


def test_what_is_alone_is_taken_whatever_its_size() -> None:
    memory = Memory(LIMIT, lambda _: None)
    alone = Held(memory, ALICE)
    for _ in range(10):
        alone.take(LIMIT)
    assert memory.held == 10 * LIMIT


def test_a_user_has_a_share_and_all_have_the_whole() -> None:
    refused: list[str] = []
    memory = Memory(LIMIT, refused.append)
    Held(memory, ALICE).take(SHARE - 1)
    Held(memory, ALICE).take(1)
    assert status_of(Held(memory, ALICE), 1) == 429
    for user in (BOB, CAROL, DAVE):
        Held(memory, user).take(SHARE)
    assert status_of(Held(memory, ERIN), 1) == 503
    assert refused == ["user_at_once", "overloaded"]


def test_what_is_given_back_is_there_for_others_and_nobody_is_remembered() -> None:
    memory = Memory(LIMIT, lambda _: None)
    first, second = Held(memory, ALICE), Held(memory, ALICE)
    first.take(SHARE)
    assert status_of(second, 1) == 429
    first.give_back()
    first.give_back()
    second.take(SHARE)
    second.give_back()
    assert memory.held == 0
    assert memory.of_user == {}


def test_what_cannot_be_refused_any_more_counts_all_the_same() -> None:
    memory = Memory(LIMIT, lambda _: None)
    Held(memory, ALICE).take(1)
    Held(memory, ALICE).take_anyway(10 * LIMIT)
    assert status_of(Held(memory, BOB), 1) == 503


def test_nothing_is_no_bound() -> None:
    memory = Memory(0, lambda _: None)
    for user in (ALICE, ALICE, BOB):
        Held(memory, user).take(10 * LIMIT)
