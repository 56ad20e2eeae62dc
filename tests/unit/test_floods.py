"""How many requests a minute a user has, to the edge."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatkeep.domain.model import UserId
from chatkeep.entrypoints.http.middleware.rate_limiting import WINDOW, Rate
from chatkeep.entrypoints.http.problems import ProblemError

ALICE, BOB = UserId("alice"), UserId("bob")


class Watch:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_may_take_a_whole_minute_at_once_and_not_one_more() -> None:
    rate = Rate(5, Watch())

    assert [rate.take(ALICE)[0] for _ in range(5)] == [4, 3, 2, 1, 0]
    with pytest.raises(ProblemError) as refusal:
        rate.take(ALICE)

    assert refusal.value.status == 429
    assert refusal.value.headers == {
        "Retry-After": "12",
        "RateLimit-Policy": '"requests";q=5;w=60',
        "RateLimit": '"requests";r=0;t=60',
    }


def test_after_the_time_that_was_told_there_is_one_again() -> None:
    watch = Watch()
    rate = Rate(5, watch)
    for _ in range(5):
        rate.take(ALICE)

    watch.now += 12
    rate.take(ALICE)

    with pytest.raises(ProblemError):
        rate.take(ALICE)


def test_one_user_does_not_use_up_what_another_has() -> None:
    rate = Rate(1, Watch())
    rate.take(ALICE)

    rate.take(BOB)


def test_a_refused_request_is_not_counted() -> None:
    watch = Watch()
    rate = Rate(2, watch)
    for _ in range(2):
        rate.take(ALICE)
    for _ in range(100):
        with pytest.raises(ProblemError):
            rate.take(ALICE)

    watch.now += 30
    rate.take(ALICE)


def test_of_many_users_those_who_have_gone_are_forgotten_and_those_who_have_not_are_not() -> None:
    watch = Watch()
    rate = Rate(1, watch)
    for number in range(25_000):
        rate.take(UserId(f"gone {number}"))
    watch.now += WINDOW - 1
    rate.take(ALICE)
    watch.now += 2
    for number in range(25_000):
        rate.take(UserId(f"here {number}"))

    assert len(rate) <= 50_001
    with pytest.raises(ProblemError):
        rate.take(ALICE)
    watch.now += WINDOW
    for number in range(50_000):
        rate.take(UserId(f"back {number}"))
    assert len(rate) <= 100_000


def test_ten_thousands_of_active_users_cost_a_request_no_more_than_a_few() -> None:
    rate = Rate(1_000_000, Watch())
    for number in range(100_000):
        rate.take(UserId(f"active {number}"))

    def seconds() -> float:
        started = time.perf_counter()
        for _ in range(2_000):
            rate.take(ALICE)
        return time.perf_counter() - started

    # To look through all of them with every request takes some milliseconds each time.
    assert min(seconds() for _ in range(3)) < 3


@given(
    limit=st.integers(1, 50),
    pauses=st.lists(st.floats(0, 30, allow_nan=False), min_size=1, max_size=200),
)
def test_no_minute_has_more_than_twice_the_limit_and_no_even_sender_is_refused(
    limit: int, pauses: list[float]
) -> None:
    watch = Watch()
    rate = Rate(limit, watch)
    taken = []
    for pause in pauses:
        watch.now += pause
        try:
            rate.take(ALICE)
        except ProblemError:
            continue
        taken.append(watch.now)

    for start in taken:
        assert sum(start <= at < start + WINDOW for at in taken) <= 2 * limit
    even = Rate(limit, watch)
    for _ in range(3 * limit):
        watch.now += WINDOW / limit
        even.take(BOB)
