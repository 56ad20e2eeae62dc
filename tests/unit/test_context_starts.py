"""Contexts that begin with a message, and contexts of so many tokens."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from chatkeep.domain.context import Context, select
from chatkeep.domain.model import Message, Role
from chatkeep.domain.token_counts import message_tokens
from tests.unit.histories import (
    assistant,
    conversation,
    histories,
    ids,
    limits,
    max_chars,
    system,
    tool,
    user,
    window,
)


def starts(message: Message) -> Message:
    return message._replace(starts_context=True)


def texts(context: Context) -> list[str | None]:
    return [message.content for message in context.messages]


def starting(context: Context) -> tuple[int | None, int, bool]:
    at = context.starts_at
    return None if at is None else at.int, context.replaced, context.truncated


LONG = conversation(
    system("Be kind."),
    user("one"),
    assistant("two"),
    starts(system("They said one and two.")),
    user("three"),
    assistant("four"),
)


def test_a_context_begins_with_the_message_that_says_so() -> None:
    context = select(window(LONG, 20))

    assert texts(context) == ["Be kind.", "They said one and two.", "three", "four"]
    assert starting(context) == (4, 2, False)


def test_it_makes_no_difference_how_much_of_the_rest_is_in_the_window() -> None:
    for limit in (3, 4, 5, 6):
        assert select(window(LONG, limit)) == select(window(LONG, 20))


def test_further_back_than_the_window_it_comes_first() -> None:
    context = select(window(LONG, 1))

    assert texts(context) == ["Be kind.", "They said one and two.", "four"]
    assert starting(context) == (4, 2, True)
    assert select(window(LONG, 2)) == select(window(LONG, 20))


def test_further_back_it_takes_room_before_newer_messages() -> None:
    context = select(window(LONG, 1), max_chars=len("Be kind." + "They said one and two."))

    assert texts(context) == ["Be kind.", "They said one and two."]
    assert starting(context) == (4, 2, True)


def test_the_latest_of_several_counts() -> None:
    history = conversation(*LONG, starts(user("Something else")), assistant("five"))

    context = select(window(history, 20))

    assert texts(context) == ["Be kind.", "Something else", "five"]
    assert starting(context) == (7, 5, False)


def test_it_may_be_the_last_message_or_the_first() -> None:
    last = select(window(conversation(user("a"), starts(user("b"))), 20))
    first = select(window(conversation(starts(user("a")), user("b")), 20))

    assert (texts(last), starting(last)) == (["b"], (2, 1, False))
    assert (texts(first), starting(first)) == (["a", "b"], (1, 0, False))


def test_in_the_opening_it_replaces_nothing() -> None:
    history = conversation(system("Be kind."), starts(system("Before: nothing.")), user("a"))

    context = select(window(history, 20))

    assert texts(context) == ["Be kind.", "Before: nothing.", "a"]
    assert starting(context) == (None, 0, False)


def test_the_message_where_it_begins_goes_before_newer_ones_that_do_not_fit() -> None:
    context = select(window(LONG, 20), max_chars=35)

    assert texts(context) == ["Be kind.", "They said one and two.", "four"]
    assert starting(context) == (4, 2, True)


def test_if_that_message_does_not_fit_the_newest_may() -> None:
    context = select(window(LONG, 20), max_chars=17)

    assert texts(context) == ["Be kind.", "three", "four"]
    assert starting(context) == (4, 2, True)


def test_calls_before_it_are_left_out_with_their_results() -> None:
    history = conversation(
        user("Find it"),
        assistant("Looking", "a"),
        starts(user("Now")),
        tool("a", "Found."),
        user("b"),
    )

    context = select(window(history, 20))

    assert texts(context) == ["Now", "b"]
    assert starting(context) == (3, 2, False)


def test_it_may_be_a_message_with_calls_which_keeps_its_results() -> None:
    history = conversation(
        user("Find it"), starts(assistant(None, "a")), tool("a", "Found."), user("b")
    )

    context = select(window(history, 20))

    assert texts(context) == [None, "Found.", "b"]
    assert starting(context) == (2, 1, False)


def test_a_text_of_the_assistant_before_its_calls_stays_whole() -> None:
    history = conversation(
        user("x"), starts(assistant("Summary")), assistant("Looking", "a"), tool("a", "Found.")
    )

    assert texts(select(window(history, 20))) == ["Summary", "Looking", "Found."]


def test_tokens_bound_a_context_as_characters_do() -> None:
    history = conversation(
        system("Be kind."), *(user("x" * 40)._replace(tokens=10) for _ in range(5))
    )

    context = select(window(history, 20), max_tokens=6 + 20)

    assert ids(context.messages) == [1, 5, 6]
    assert context.truncated
    assert not select(window(history, 20), max_tokens=56).truncated
    assert ids(select(window(history, 20), max_tokens=56, max_chars=48).messages) == [1, 6]
    assert ids(select(window(history, 20), max_tokens=5).messages) == []


def test_a_call_and_its_results_count_together() -> None:
    history = conversation(
        user("Find it"),
        assistant(None, "a")._replace(tokens=30),
        tool("a", "Found.")._replace(tokens=30),
    )

    assert ids(select(window(history, 20), max_tokens=59).messages) == []
    assert ids(select(window(history, 20), max_tokens=60).messages) == [2, 3]


def test_what_is_left_of_a_message_is_estimated() -> None:
    history = conversation(assistant("Looking", "a", "b")._replace(tokens=900), tool("b", "Found."))

    context = select(window(history, 20), max_tokens=100)

    assert texts(context) == ["Looking", "Found."]
    assert context.messages[0].tokens is None


@st.composite
def marked(draw: st.DrawFn) -> tuple[Message, ...]:
    """Draw a history in which some messages start the context, and some have counted tokens."""
    history = draw(histories())
    return tuple(
        message._replace(
            starts_context=draw(st.sampled_from([False] * 9 + [True])),
            tokens=draw(st.none() | st.integers(0, 50)),
        )
        for message in history
    )


def last_start(history: Sequence[Message], limit: int) -> int | None:
    """Return where the context begins: the place in the history."""
    opening = 0
    while opening < len(history) and history[opening].role in {Role.SYSTEM, Role.DEVELOPER}:
        opening += 1
    place = max((n for n, each in enumerate(history, 1) if each.starts_context), default=0)
    is_among_latest = len(history) - limit < place < len(history) + 1 and limit < len(history)
    return place if place > min(opening, 20) or (place and is_among_latest) else None


@given(history=marked(), limit=limits, chars=max_chars, tokens=st.none() | st.integers(0, 400))
def test_a_context_has_nothing_from_before_its_start_but_the_opening(
    history: tuple[Message, ...], limit: int, chars: int | None, tokens: int | None
) -> None:
    context = select(window(history, limit), max_chars=chars, max_tokens=tokens)

    start = last_start(history, limit)
    assert context.starts_at == (None if start is None else history[start - 1].id)
    if start is not None:
        opens = {
            message.id.int
            for message in history[:20]
            if message.role in {Role.SYSTEM, Role.DEVELOPER}
        }
        assert all(each >= start or each in opens for each in ids(context.messages))
        assert 0 <= context.replaced < start
    if tokens is not None:
        assert sum(map(message_tokens, context.messages)) <= tokens


@given(history=marked(), limit=limits)
def test_a_start_is_the_same_as_if_nothing_had_been_before(
    history: tuple[Message, ...], limit: int
) -> None:
    context = select(window(history, limit))

    if context.starts_at is not None:
        start = context.starts_at.int
        found = window(history, limit)
        opening = ids(found.head)
        if found.is_whole and not found.start:  # the tail may begin with more of the opening
            opening = [each for each in ids(context.messages) if each < start]
        latest = max(start, len(history) - limit + 1)
        kept = tuple(
            m for m in history if m.id.int >= latest or m.id.int == start or m.id.int in opening
        )
        alone = select(window(kept, len(kept)))
        assert ids(alone.messages) == ids(context.messages)
        assert context.truncated is (latest > start + 1)
