"""Limits on what callers may send and request."""

from dataclasses import dataclass

from chatkeep.domain.errors import InvalidValueError, LimitExceededError
from chatkeep.domain.model.json_text import EMPTY_OBJECT, JsonText
from chatkeep.domain.pages import NO_BOUND


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits on what a caller may send and request. 0 switches a limit off."""

    max_user_message_chars: int = 1_000
    max_message_chars: int = 10_000
    soft_max_conversation_messages: int = 1_000
    max_title_chars: int = 200
    max_metadata_bytes: int = 16_384
    max_branches: int = 10_000
    max_page: int = 100
    max_batch: int = 100
    max_items: int = 1_000
    max_item_bytes: int = 10_485_760
    max_answer_bytes: int = 16_777_216
    max_draft_bytes: int = 4_194_304
    max_draft_seconds: int = 3_600

    @property
    def max_bytes(self) -> int:
        """The most bytes of a page or a context."""
        return self.max_answer_bytes or NO_BOUND

    def check(self, limit_name: str, actual: int | None, *, field: str, unit: str) -> None:
        """Raise `LimitExceededError` if `actual` is over the limit with that name.

        None means that the value is over the limit, but was not counted.
        """
        limit: int = getattr(self, limit_name)
        if limit and (actual is None or actual > limit):
            raise LimitExceededError(
                field, limit_name=limit_name, limit=limit, actual=actual, unit=unit
            )

    def check_page(self, limit: int, *, field: str = "limit") -> None:
        """Raise an error unless a page may have this many items."""
        if limit < 1:
            raise InvalidValueError(field, f"is {limit}; at least 1")
        self.check("max_page", limit, field=field, unit="items")


def check_title(title: str | None, limits: Limits) -> None:
    if title is not None:
        limits.check("max_title_chars", len(title), field="title", unit="characters")


def check_metadata(metadata: JsonText, limits: Limits, *, field: str = "metadata") -> None:
    if metadata is not EMPTY_OBJECT:
        limits.check("max_metadata_bytes", len(metadata.encode()), field=field, unit="bytes")
