"""What holds for the context of any history, each rule written a second time."""

from collections.abc import Sequence
from itertools import groupby, pairwise

from hypothesis import given
from hypothesis import strategies as st

from chatkeep.domain.context import select
from chatkeep.domain.model import Message, Role
from chatkeep.domain.window import Window
from tests.unit.histories import (
    histories,
    ids,
    is_same,
    limits,
    max_chars,
    opening,
    well_formed,
    window,
)


@given(history=histories())
def test_nothing_valid_is_lost_from_a_whole_history(history: tuple[Message, ...]) -> None:
    context = select(window(history, len(history) or 1))

    assert ids(context.messages) == ids(valid(history))
    assert not context.truncated


@given(history=histories(), limit=limits, chars=max_chars)
def test_a_context_is_taken_from_its_window_in_order(
    history: tuple[Message, ...], limit: int, chars: int | None
) -> None:
    given_window = window(history, limit)

    context = select(given_window, max_chars=chars)

    order = ids(context.messages)
    said = [message for message in context.messages if message.role is not Role.TOOL]
    assert ids(said) == sorted(ids(said))
    for before, message in pairwise(context.messages):
        if message.role is Role.TOOL:
            assert before.role in {Role.TOOL, Role.ASSISTANT}
            assert message.id.int > before.id.int
    assert set(order) <= set(ids(given_window.head + given_window.tail))
    by_id = {message.id.int: message for message in history}
    for message in context.messages:
        assert message is by_id[message.id.int] or message == by_id[message.id.int]._replace(
            tool_calls=message.tool_calls
        )


@given(history=histories(), limit=limits, chars=max_chars)
def test_a_context_is_its_own_context(
    history: tuple[Message, ...], limit: int, chars: int | None
) -> None:
    messages = select(window(history, limit), max_chars=chars).messages

    again = select(Window((), messages, len(messages)), max_chars=chars).messages

    assert all(map(is_same, again, messages))
    assert len(again) == len(messages)


@given(history=histories(), limit=limits, chars=st.integers(-1, 2_000))
def test_a_context_never_has_more_than_max_chars(
    history: tuple[Message, ...], limit: int, chars: int
) -> None:
    context = select(window(history, limit), max_chars=chars)

    assert characters(context.messages) <= max(chars, 0)


@given(history=histories(), limit=limits)
def test_the_opening_always_stays(history: tuple[Message, ...], limit: int) -> None:
    context = select(window(history, limit))

    opens = [message for message in opening(history) if message.content is not None]
    assert list(context.messages[: len(opens)]) == opens


@given(history=histories(), limit=limits, narrow=st.integers(0, 300), more=st.integers(0, 300))
def test_fewer_characters_only_take_older_messages_away(
    history: tuple[Message, ...], limit: int, narrow: int, more: int
) -> None:
    """What no longer fits of the opening may leave room to others: it is compared apart."""
    opens = set(ids(opening(history)))
    small, large = (
        ids(select(window(history, limit), max_chars=chars).messages)
        for chars in (narrow, narrow + more)
    )

    small_head, large_head = ([i for i in each if i in opens] for each in (small, large))
    assert small_head == large_head[: len(small_head)]
    if small_head == large_head:
        small_rest = small[len(small_head) :]
        assert small_rest == large[len(large) - len(small_rest) :]


@given(history=histories(), limit=limits, chars=max_chars)
def test_truncated_says_whether_limit_or_max_chars_left_something_out(
    history: tuple[Message, ...], limit: int, chars: int | None
) -> None:
    context = select(window(history, limit), max_chars=chars)

    if context.truncated:
        assert limit < len(history) or ids(context.messages) != ids(valid(history))
    else:
        assert ids(context.messages) == ids(valid(history))


def valid(history: Sequence[Message]) -> list[Message]:
    """Return what a model can be given of a history: the rules again, from the first message on."""
    turns = [
        [*messages]
        for _, messages in groupby(history, key=lambda each: each.role is Role.ASSISTANT)
    ]
    answers: list[dict[str, Message]] = [{} for _ in turns]
    asked_in: dict[str, int] = {}
    for n, turn in enumerate(turns):
        for message in turn:
            asked_in.update(dict.fromkeys(called(message), n))
            call_id = message.tool_call_id
            if message.role is Role.TOOL and message.content is not None and call_id in asked_in:
                answers[asked_in[call_id]].setdefault(call_id, message)
    found: list[Message] = []
    for turn, results in zip(turns, answers, strict=True):
        texts = [
            each
            for each in turn
            if each.role is not Role.TOOL
            and each.content is not None
            and (each.content or each.role is not Role.ASSISTANT or each.tool_calls is None)
        ]
        since = next((n for n, each in enumerate(turn) if results.keys() & called(each)), len(turn))
        silent = not any(each in texts for each in turn[since:])
        found += [each for n, each in enumerate(turn) if each in texts or (n == since and silent)]
        found += sorted(results.values(), key=lambda each: each.position)
    return found


def called(message: Message) -> set[str]:
    if message.role is not Role.ASSISTANT:
        return set()
    return {call["id"] for call in well_formed(message.tool_calls)}


def characters(messages: Sequence[Message]) -> int:
    total = 0
    for message in messages:
        total += len(message.content or "")
        if message.role is Role.ASSISTANT:
            for call in well_formed(message.tool_calls):
                total += sum(map(len, call[call["type"]].values()))
    return total
