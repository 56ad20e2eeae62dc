"""How many tokens a message counts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatkeep.domain.model import JsonText, Role
from chatkeep.domain.token_counts import (
    TOKENS_OF_MEDIA,
    TOKENS_OF_MESSAGE,
    message_tokens,
    text_tokens,
)
from tests.unit.histories import said, user


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("a", 1),
        ("abcd", 1),
        ("abcde", 2),
        ("x" * 400, 100),
        ("漢字", 2),
        ("こんにちは", 5),
        ("안녕하세요", 5),
        ("漢字 and letters", 5),
        ("привет", 4),
        ("é", 1),
        ("🧵🧵🧵", 4),
        ("\x00" * 8, 2),
        (" \n\t ", 1),
    ],
)
def test_a_text_counts_by_its_letters(text: str, tokens: int) -> None:
    assert text_tokens(text) == tokens


def test_a_message_counts_all_its_texts() -> None:
    calls = '[{"id":"a"}]'
    message = said(Role.ASSISTANT, "abcdefgh", tool_calls=calls, name="helper")

    assert message_tokens(message) == TOKENS_OF_MESSAGE + 2 + 3 + 2
    assert message_tokens(user(None)) == TOKENS_OF_MESSAGE


def test_a_part_that_is_not_text_counts_by_itself() -> None:
    image = '{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}'
    text = '{"type":"text","text":"abcd"}'
    parts = JsonText(f'[{image},{text},{{"type":"of tomorrow"}},{image}]')

    found = message_tokens(user("abcd")._replace(parts=parts))

    assert found == TOKENS_OF_MESSAGE + 1 + 3 * TOKENS_OF_MEDIA
    assert message_tokens(user("abcd")._replace(parts=parts, tokens=7)) == 7


@pytest.mark.parametrize("tokens", [0, 1, 2**31 - 1])
def test_what_the_author_counted_counts(tokens: int) -> None:
    assert message_tokens(user("a long text" * 50)._replace(tokens=tokens)) == tokens


@given(one=st.text(), other=st.text())
def test_longer_texts_never_count_less(one: str, other: str) -> None:
    both = text_tokens(one + other)

    assert max(text_tokens(one), text_tokens(other)) <= both
    assert both <= text_tokens(one) + text_tokens(other)
    assert len(one) / 4 <= text_tokens(one) <= len(one) * 4 / 3 + 1
