"""Texts of messages with realistic lengths, always the same."""

import random
from typing import Final

# Lengths in characters follow log-normal distributions. Medians and spread are close to those of
# public dialogues with assistants (tau-bench's airline customers, MT-Bench-101).
USER_MEDIAN: Final = 80
ASSISTANT_MEDIAN: Final = 240
SPREAD: Final = 0.7
MAX_USER_CHARS: Final = 1_000
MAX_CHARS: Final = 8_000

_WORDS: Final = (
    "the a to of and in is you that it for on with are as at be this have from or one had by "
    "but not what all were we when your can there use an each which she do how their if will "
    "up other about out many then them these so some her would make like him into time has look "
    "two more write go see number no way could people my than first water been call who its now "
    "find long down day did get come made may part booking flight refund order account address "
    "please thanks sorry confirm cancel tomorrow Tuesday €40 café naïve 20:30 #1042"
)
STARTS: Final = 6_000


def texts(count: int, *, seed: int) -> list[str]:
    """Return the texts of `count` user messages, always the same."""
    chance = random.Random(seed)  # noqa: S311 - not for security
    source = make_source()
    found = []
    for _ in range(count):
        chars = min(MAX_USER_CHARS, max(1, round(USER_MEDIAN * chance.lognormvariate(0, SPREAD))))
        start = chance.randrange(STARTS)
        found.append(source[start : start + chars])
    return found


def make_source() -> str:
    words = random.Random(20).choices(_WORDS.split(), k=5_000)  # noqa: S311 - not for security
    return " ".join(words)[: STARTS + MAX_CHARS]
