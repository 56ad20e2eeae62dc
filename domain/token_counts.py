"""Estimates how many tokens a message is for a model, where its author did not count them.

Models differ, and a tokenizer of one of them would be wrong for the others. The rule is simple, so
that anybody can predict it, and rather too high than too low.
"""

from typing import Final

from chatkeep.domain.model import Message
from chatkeep.domain.parts import TEXTS, split_parts

TOKENS_OF_MESSAGE: Final = 4
"""What each message takes besides its texts: its role and its ends."""

TOKENS_OF_MEDIA: Final = 1_000
"""What a part that is not text takes, such as an image or a file: models differ most in that."""

_ASCII_CHARS_OF_TOKEN: Final = 4
_OTHER_BYTES_OF_TOKEN: Final = 3


def message_tokens(message: Message) -> int:
    """Return the tokens that the author counted, or else an estimate.

    That is 4, those of the text, the tool calls as JSON and the name (`text_tokens`), and 1,000 for
    each part that is not text.
    """
    if message.tokens is not None:
        return message.tokens
    texts = (message.content, message.tool_calls, message.name)
    tokens = TOKENS_OF_MESSAGE + sum(text_tokens(text) for text in texts if text is not None)
    if message.parts is not None:
        media = sum(part.kind not in TEXTS for part in split_parts(message.parts))
        tokens += TOKENS_OF_MEDIA * media
    return tokens


def text_tokens(text: str) -> int:
    """Return an estimate: one token for four ASCII characters, or for three bytes of others.

    The bytes are those of UTF-8, so a Chinese, Japanese or Korean character is one token, two
    Cyrillic or Greek letters are one and a third. The sum is rounded up.
    """
    chars = len(text)
    ascii_chars = chars if text.isascii() else len(text.encode("ascii", "ignore"))
    other_bytes = 0 if ascii_chars == chars else len(text.encode()) - ascii_chars
    ascii_share = ascii_chars * _OTHER_BYTES_OF_TOKEN
    other_share = other_bytes * _ASCII_CHARS_OF_TOKEN
    return -(-(ascii_share + other_share) // (_ASCII_CHARS_OF_TOKEN * _OTHER_BYTES_OF_TOKEN))
