"""Control characters are shown, not acted upon."""

import json
import unicodedata

import pytest

from chatkeep.entrypoints.cli.options import warn
from chatkeep.entrypoints.visible import visible, visible_json, visible_lines

EVERY = "".join(map(chr, range(0x100)))


def controls(text: str) -> set[str]:
    return {each for each in text if unicodedata.category(each) == "Cc"}


def test_no_control_character_is_left_in_what_is_shown() -> None:
    assert controls(visible(EVERY)) == set()
    assert controls(visible_lines(EVERY)) == {"\n", "\t"}
    assert visible("a\x1b[2J\u00e9") == "a\u241b[2J\u00e9"
    assert visible_lines("a\r\nb\rc\n") == "a\nb\nc\n"


def test_json_stays_the_same_with_them_escaped() -> None:
    document = json.dumps({"said": EVERY + "\u00a0\u0100"}, ensure_ascii=False).encode()
    shown = visible_json(document)
    assert controls(shown.decode()) == set()
    assert json.loads(shown) == json.loads(document)


def test_what_a_command_complains_of_is_no_command_to_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    warn("file:1: \x1b[2Jtitel: is no key")
    assert capsys.readouterr().err == "file:1: \u241b[2Jtitel: is no key\n"
