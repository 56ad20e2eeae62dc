"""What the planner knows of the tables."""

from typing import Final

from chatkeep.adapters.piccolo.engine import Engine

ANALYZE: Final = "ANALYZE conversations, messages, conversation_items"
ANALYZE_TIMEOUT: Final = 300.0  # seconds


async def refresh(engine: Engine) -> None:
    """Count the rows anew, after many were added at once. Raises `StoreUnavailableError`.

    Until autovacuum gets there the planner guesses: it may read a whole conversation, and sort it,
    to find the last messages.
    """
    await engine.fetch(ANALYZE, timeout=ANALYZE_TIMEOUT)
