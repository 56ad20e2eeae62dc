"""Ids that clients choose: which texts may be ids, and how their keys are derived."""

import copy
import pickle
import sys
import unicodedata
from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.ids import (
    NamedId,
    id_text,
    key_text,
    of_conversation,
    of_user,
    parse_id,
    same_id,
    with_text,
    written_id,
)
from chatkeep.domain.model import ConversationId, UserId
from tests.support.service_process import FULL

ALICE, BOB = UserId("alice"), UserId("bob")
ONE = UUID("0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b")
texts = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=255).filter(
    lambda text: text not in {".", ".."}
)


@pytest.mark.parametrize(
    "text",
    [str(ONE), str(ONE).upper(), ONE.hex, ONE.hex.upper(), str(ONE)[:20] + str(ONE)[20:].upper()],
)
def test_a_uuid_may_be_written_in_the_ways_that_were_always_read(text: str) -> None:
    found = parse_id(text)

    assert type(found) is UUID
    assert found == ONE
    assert of_user(ALICE, found) is found
    assert id_text(found) is None


@pytest.mark.parametrize(
    "text",
    [
        f"{{{ONE}}}",
        f"urn:uuid:{ONE}",
        f" {ONE}",
        f"{ONE}\u2028",
        str(ONE)[:-1],
        f"{ONE}0",
        ONE.hex.replace("0", "\uff10"),
        f"{ONE.hex[:16]}-{ONE.hex[16:]}",
        "x",
        "chat/42 100% ?#;+&=",
        "...",
        "é",
        "e\u0301",
        "\u202e\u200b\ufdd0\uffff\U0010ffff",
        "🧵" * 255,
        " ",
    ],
)
def test_any_other_text_is_kept_as_it_is(text: str) -> None:
    found = of_user(ALICE, parse_id(text))

    assert isinstance(found, NamedId)
    assert str(found) == f"{found}" == found.text == id_text(found) == written_id(found) == text
    assert key_text(found) == found.hex
    assert UUID(key_text(found)) == found
    assert (found.version, found.variant) == (8, RFC_4122)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        ("x" * 256, "256 characters; at most 255"),
        (".", "clients remove"),
        ("..", "clients remove"),
        ("a\x00", r"U\+0000"),
        ("a\nb", r"U\+000A"),
        ("\x7f", r"U\+007F"),
        ("\x85", r"U\+0085"),
        ("\ud800", "surrogate"),
    ],
)
def test_what_cannot_be_an_id_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(InvalidValueError, match=why) as refusal:
        parse_id(text, field="messages[3].id")

    assert refusal.value.field == "messages[3].id"


def test_every_control_character_and_surrogate_is_refused_and_nothing_else() -> None:
    # Beyond the first plane all are unassigned, private or printable.
    for code in range(sys.maxunicode + 1 if FULL else 0x10000):
        text = chr(code) * 2
        refused = unicodedata.category(chr(code)) in {"Cc", "Cs"}
        if refused or not text.isprintable():
            try:
                parse_id(text)
            except InvalidValueError:
                assert refused
            else:
                assert not refused


def test_the_key_of_a_text_never_changes() -> None:
    """What is stored is found by it."""
    conversation = of_user(ALICE, parse_id("chat-42"))

    assert conversation.hex == "6e432a53834f879b9f8e7543c5735deb"
    assert (
        of_conversation(conversation, parse_id("first")).hex == "d5aa08c8697188779468e242c9fac490"
    )


@given(texts, texts)
def test_texts_that_differ_are_different_ids(one: str, other: str) -> None:
    assert (of_user(ALICE, parse_id(one)) == of_user(ALICE, parse_id(other))) == (one == other)


@given(texts)
def test_a_text_is_another_id_in_another_scope(text: str) -> None:
    unplaced = parse_id(text)
    if not isinstance(unplaced, NamedId):
        return
    hers, his = of_user(ALICE, unplaced), of_user(BOB, unplaced)
    plain = ConversationId(ONE)

    assert len({hers, his, of_conversation(hers, unplaced), of_conversation(plain, unplaced)}) == 4
    assert of_user(ALICE, hers) == hers
    assert of_conversation(hers, of_conversation(his, unplaced)) == of_conversation(hers, unplaced)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Chat", "chat"),
        ("é", "e\u0301"),
        ("Å", "\u212b"),
        ("ﬁ", "fi"),
        ("a", "a "),
        ("\u0661", "1"),
    ],
)
def test_case_and_normalisation_make_a_difference(one: str, other: str) -> None:
    assert of_user(ALICE, parse_id(one)) != of_user(ALICE, parse_id(other))


def test_a_user_and_a_text_cannot_be_taken_for_another_user_and_another_text() -> None:
    assert of_user(UserId("ab"), parse_id("c")) != of_user(UserId("a"), parse_id("bc"))


def test_a_key_equals_its_text_id_but_is_not_the_same_id() -> None:
    named = of_user(ALICE, parse_id("chat-42"))
    key = UUID(named.hex)

    assert named == key
    assert {named: 1}[ConversationId(key)] == 1
    assert not same_id(named, key)
    assert same_id(named, with_text(key, "chat-42"))
    assert with_text(key, None) is key


def test_copies_keep_the_text() -> None:
    named = of_user(ALICE, parse_id("chat-42"))

    for each in (copy.copy(named), copy.deepcopy(named), pickle.loads(pickle.dumps(named))):
        assert same_id(each, named)


def test_an_id_cannot_be_changed() -> None:
    named = parse_id("chat-42")
    assert isinstance(named, NamedId)

    with pytest.raises(TypeError):
        named.text = "other"
