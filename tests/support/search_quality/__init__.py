"""What a search must find, judged by hand.

A store that searches is given the `MESSAGES`. Each query of the `CASES` finds the messages that it
names and no others.
"""

from tests.support.search_quality.cases import CASES
from tests.support.search_quality.messages import MESSAGES

__all__ = ["CASES", "MESSAGES"]
