"""Text of users for a terminal: control characters are shown and not acted upon."""

import re
from typing import Final

_SYMBOLS: Final = 0x2400  # the symbol of U+0000, followed by those of the next; DEL has 0x2421
_CONTROLS: Final = {
    **{code: _SYMBOLS + code for code in range(0x20)},
    0x7F: 0x2421,
    **dict.fromkeys(range(0x80, 0xA0), 0xFFFD),
}
_BUT_LINES: Final = {code: sign for code, sign in _CONTROLS.items() if chr(code) not in "\n\t"}


# JSON has those below U+0020 escaped already.
_CONTROL_IN_JSON: Final = re.compile(rb"\x7f|\xc2([\x80-\x9f])")


def visible(text: str) -> str:
    """Return one line, with a symbol in place of each control character."""
    return text.translate(_CONTROLS)


def visible_lines(text: str) -> str:
    r"""Return the text with a symbol in place of each control character except \n and tabs."""
    return text.replace("\r\n", "\n").replace("\r", "\n").translate(_BUT_LINES)


def visible_json(document: bytes) -> bytes:
    """Return the JSON, in UTF-8, with every control character escaped."""
    return _CONTROL_IN_JSON.sub(lambda found: b"\\u00%02x" % (found[1] or b"\x7f")[0], document)
