"""Which messages a model is given, and which are kept from it."""

import json
from collections.abc import Sequence
from itertools import groupby, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatkeep.domain.context import MAX_HEAD, Context, Window, select
from chatkeep.domain.model import JsonText, Message, Role
from tests.unit.histories import (
    assistant,
    conversation,
    histories,
    limits,
    max_chars,
    opening,
    said,
    system,
    tool,
    user,
    window,
)

SEARCH = [assistant(None, "a"), tool("a", "Found.")]


def test_a_short_conversation_is_its_own_context() -> None:
    history = conversation(system("Be kind."), user("Hello"), assistant("Hi!"))

    assert select(window(history, 20)) == Context(history, truncated=False)


def test_the_opening_stays_in_front_when_the_window_slides() -> None:
    history = conversation(
        system("Be kind."),
        said(Role.DEVELOPER, "Be short."),
        user("Hello"),
        assistant("Hi!"),
        user("Bye"),
    )

    context = select(window(history, 2))

    assert texts(context) == ["Be kind.", "Be short.", "Hi!", "Bye"]
    assert context.truncated


def test_a_result_whose_call_was_cut_off_is_left_out() -> None:
    history = conversation(user("Find it"), *SEARCH, user("Thanks"))

    assert texts(select(window(history, 2))) == ["Thanks"]


def test_a_call_that_nobody_answered_is_left_out() -> None:
    history = conversation(user("Find it"), assistant(None, "a"), user("Well?"))

    context = select(window(history, 20))

    assert texts(context) == ["Find it", "Well?"]
    assert not context.truncated


def test_a_message_with_text_outlives_its_calls() -> None:
    history = conversation(user("Find it"), assistant("I am looking", "a"))

    context = select(window(history, 20))

    assert context.messages == (history[0], history[1]._replace(tool_calls=None))


def test_of_several_calls_those_with_a_result_stay_exactly_as_they_are() -> None:
    answered = '{"id": "a", "n": 1.10, "type": "custom", "custom": {"name": "f", "input": ""}}'
    waiting = '{"id": "b", "type": "function", "function": {"name": "f", "arguments": ""}}'
    asks = said(Role.ASSISTANT, None, tool_calls=f" [ {waiting}, {answered}, null ] ")

    context = select(window(conversation(asks, tool("a", "Found.")), 20))

    assert context.messages[0].tool_calls == f"[{answered}]"
    assert texts(context) == [None, "Found."]


def test_a_message_whose_calls_are_all_answered_is_given_as_it_is_stored() -> None:
    history = conversation(assistant(None, "a", "b"), tool("b", "2"), tool("a", "1"))

    context = select(window(history, 20))

    assert all(map(is_same, context.messages, history))
    assert len(context.messages) == 3


def test_calls_that_came_as_messages_of_their_own_are_one_message() -> None:
    history = conversation(
        user("Find them"),
        assistant("Looking", "a"),
        assistant(None, "b"),
        assistant("", "c"),
        tool("b", "2"),
        tool("a", "1"),
        tool("c", "3"),
    )

    context = select(window(history, 20))

    assert ids(context.messages) == [1, 2, 5, 6, 7]
    asking = context.messages[1]
    assert [call["id"] for call in well_formed(asking.tool_calls)] == ["a", "b", "c"]
    assert asking.content == "Looking"


def test_of_such_calls_those_without_a_result_are_left_out() -> None:
    history = conversation(
        assistant("Looking", "a"), assistant(None, "b"), assistant(None, "c"), tool("b", "2")
    )

    context = select(window(history, 20))

    assert context.messages == (history[0]._replace(tool_calls=None), history[1], history[3])


@pytest.mark.parametrize(
    ("said_by_model", "expected", "carrying"),
    [
        ([(None, "a"), ("checking",)], [2, 3, 4], 2),
        ([("checking",), (None, "a")], [1, 2, 3, 4], 2),
        ([("one",), (None, "a"), ("two",)], [1, 3, 4, 5], 3),
        ([(None, "a"), ("one",), ("two",)], [2, 3, 4, 5], 3),
        ([(None, "a"), ("one",), (None, "b"), ("",)], [2, 4, 5, 6, 7], 4),
        ([("",), (None, "a"), ("",)], [1, 3, 4, 5], 3),
        ([("one",), (None, "a"), ("two",), (None, "b")], [1, 3, 5, 6, 7], 3),
        ([("one", "a"), ("two",)], [1, 2, 3, 4], 2),
        ([("one", "a"), ("two", "b")], [1, 2, 3, 4, 5], 2),
        ([("one", "a"), (None, "b"), (None, "c"), ("two",)], [1, 4, 5, 6, 7, 8], 4),
    ],
)
def test_texts_among_calls_keep_their_order_and_no_result_is_lost(
    said_by_model: list[tuple[str | None, ...]], expected: list[int], carrying: int
) -> None:
    """A model may say something after a call, before it gets the result."""
    asked = [call_id for _, *called in said_by_model for call_id in called if call_id]
    history = conversation(
        *(assistant(text, *filter(None, called)) for text, *called in said_by_model),
        *(tool(call_id, f"result of {call_id}") for call_id in asked),
        user("Thanks"),
    )

    context = select(window(history, 20))

    assert ids(context.messages) == expected
    [asking] = [message for message in context.messages if message.tool_calls]
    assert asking.id.int == carrying
    assert [call["id"] for call in well_formed(asking.tool_calls)] == asked


def test_calls_at_once_fit_together_or_not_at_all() -> None:
    history = conversation(
        user(""), assistant(None, "a"), assistant(None, "b"), tool("a", "1"), tool("b", "2")
    )

    # 7 for each name, 2 for its arguments, 1 for its result
    assert len(select(window(history, 20), max_chars=20).messages) == 4
    assert select(window(history, 20), max_chars=19) == Context((), truncated=True)


def test_the_first_result_of_a_call_counts() -> None:
    history = conversation(*SEARCH, tool("a", "Found again."))

    assert texts(select(window(history, 20))) == [None, "Found."]


def test_of_calls_with_one_id_the_first_counts() -> None:
    first = '{"id": "a", "type": "custom", "custom": {"name": "f", "input": "1"}}'
    second = first.replace("1", "2")
    asks = said(Role.ASSISTANT, None, tool_calls=f"[{first}, {second}]")

    context = select(window(conversation(asks, tool("a", "Found.")), 20))

    assert context.messages[0].tool_calls == f"[{first}]"
    assert texts(context) == [None, "Found."]


def test_ids_may_come_again_later() -> None:
    history = conversation(*SEARCH, user("Again"), *SEARCH)

    assert select(window(history, 20)).messages == history


def test_a_result_follows_its_call_whatever_was_said_in_between() -> None:
    history = conversation(
        user("Find it"),
        assistant("Looking", "a"),
        user("Well?"),
        assistant("A moment"),
        system("Be patient."),
        tool("a", "Found."),
        user("Thanks"),
    )

    context = select(window(history, 20))

    assert ids(context.messages) == [1, 2, 6, 3, 4, 5, 7]
    assert not context.truncated
    # What does not fit goes together, though something newer stays.
    assert ids(select(window(history, 20), max_chars=40).messages) == [3, 4, 5, 7]


def test_a_late_result_is_of_the_last_call_before_it() -> None:
    history = conversation(
        assistant(None, "a"),
        user("Again"),
        assistant(None, "a"),
        user("Well?"),
        tool("a", "Found."),
        tool("a", "Found again."),
    )

    assert ids(select(window(history, 20)).messages) == [2, 3, 5, 4]


def test_a_result_before_its_call_is_none_of_it() -> None:
    history = conversation(tool("a", "Found."), user("Find it"), assistant("Looking", "a"))

    assert texts(select(window(history, 20))) == ["Find it", "Looking"]


@pytest.mark.parametrize(
    "malformed",
    [
        "null",
        "5",
        '"a"',
        "{}",
        "[]",
        " [ ] ",
        "[null, 5, []]",
        '[{"type": "function", "function": {"name": "f", "arguments": "{}"}}]',
        '[{"id": "a"}]',
        '[{"id": "a", "type": "function", "function": {"name": "f", "arguments": {}}}]',
        '[{"id": "a", "type": "function", "function": {"name": "", "arguments": "{}"}}]',
        "[" * 100_000 + "]" * 100_000,
        "[1",
        '[{"id": "a", "type": "custom", "custom": {"name": "f", "input": ""}}] 2',
        "",
    ],
    ids=lambda text: text[:60],
)
def test_what_has_not_the_shape_of_calls_is_no_call(malformed: str) -> None:
    history = conversation(
        said(Role.ASSISTANT, "text", tool_calls=malformed),
        tool("a", "Found."),
        said(Role.ASSISTANT, "", tool_calls=malformed),
        said(Role.ASSISTANT, None, tool_calls=malformed),
    )

    assert select(window(history, 20)).messages == (history[0]._replace(tool_calls=None),)


def test_numbers_of_any_length_are_no_obstacle() -> None:
    call = '{"id": "a", "type": "custom", "custom": {"name": "f", "input": ""}, "n": ' + "9" * 5_000
    asks = said(Role.ASSISTANT, None, tool_calls=f"[{call}}}, 1e999]")

    context = select(window(conversation(asks, tool("a", "")), 20))

    assert context.messages[0].tool_calls == f"[{call}}}]"


def test_only_the_assistant_calls_tools() -> None:
    asks = said(Role.USER, "Find it", tool_calls=SEARCH[0].tool_calls)

    assert texts(select(window(conversation(asks, SEARCH[1]), 20))) == ["Find it"]


def test_a_message_without_content_is_left_out() -> None:
    history = conversation(system(None), user(None), user(""), assistant(None), assistant(""))

    assert texts(select(window(history, 20))) == ["", ""]


def test_characters_go_to_the_opening_then_to_the_newest() -> None:
    history = conversation(system("12"), user("345"), assistant("678"), user("90"))

    context = select(window(history, 20), max_chars=7)

    assert texts(context) == ["12", "678", "90"]
    assert context.truncated
    assert texts(select(window(history, 20), max_chars=2)) == ["12"]


def test_a_system_message_in_the_middle_is_not_of_the_opening() -> None:
    history = conversation(user("1"), system("a reminder"), user("2"))

    assert texts(select(window(history, 2), max_chars=10)) == ["2"]


def test_what_does_not_fit_leaves_no_hole() -> None:
    history = conversation(user("1"), assistant("a long answer"), user("2"))

    assert texts(select(window(history, 20), max_chars=5)) == ["2"]


def test_an_opening_too_long_does_not_cost_the_conversation() -> None:
    history = conversation(system("1"), system("a long prompt"), system("2"), user("3"))

    context = select(window(history, 20), max_chars=5)

    assert texts(context) == ["1", "3"]
    assert context.truncated


def test_calls_and_their_results_fit_together_or_not_at_all() -> None:
    # 2 for the text, 7 for the name, 4 for the arguments, 3 for the result
    history = conversation(user(""), assistant("ab", "c", arguments="{  }"), tool("c", "def"))

    assert select(window(history, 20), max_chars=16) == Context(history, truncated=False)
    assert select(window(history, 20), max_chars=15) == Context((), truncated=True)


def test_no_limit_keeps_more_than_the_first_twenty_of_an_endless_opening() -> None:
    history = conversation(*[system(str(n)) for n in range(30)], user("Hello"))

    assert texts(select(window(history, 2))) == [*map(str, range(MAX_HEAD)), "29", "Hello"]
    assert texts(select(window(history, 31), max_chars=36)) == [*map(str, range(MAX_HEAD)), "Hello"]


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


def texts(context: Context) -> list[str | None]:
    return [message.content for message in context.messages]


def ids(messages: Sequence[Message]) -> list[int]:
    return [message.id.int for message in messages]


def is_same(one: Message, other: Message) -> bool:
    return one is other


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


def well_formed(tool_calls: JsonText | None) -> list[dict[str, Any]]:
    try:
        document = json.loads(tool_calls or "null", parse_int=float)
    except RecursionError:
        return []
    calls = document if isinstance(document, list) else []
    return [call for call in calls if isinstance(call, dict) and is_well_formed(call)]


def is_well_formed(call: dict[str, Any]) -> bool:
    kind = call.get("type", "")
    tool = call.get(kind)
    payload = {"function": "arguments", "custom": "input"}.get(kind, "")
    return (
        isinstance(call.get("id"), str)
        and call["id"] != ""
        and isinstance(tool, dict)
        and isinstance(tool.get("name"), str)
        and tool["name"] != ""
        and isinstance(tool.get(payload), str)
    )
