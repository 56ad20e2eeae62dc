"""Which messages a model is given, and which are kept from it."""

import pytest

from chatkeep.domain.context import Context, select
from chatkeep.domain.model import Role
from chatkeep.domain.window import MAX_HEAD
from tests.unit.histories import (
    assistant,
    conversation,
    ids,
    is_same,
    said,
    system,
    tool,
    user,
    well_formed,
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


def texts(context: Context) -> list[str | None]:
    return [message.content for message in context.messages]
