"""What the planner knows of the tables."""

from typing import Final

from adapters.piccolo.engine import Engine

ANALYZE: Final = "ANALYZE conversations, messages"
ANALYZE_TIMEOUT: Final = 300.0  # seconds


async def refresh(engine: Engine) -> None:
    """Count the rows anew, after many were added at once. Raises `StoreUnavailableError`.

    Until autovacuum gets there, and on the embedded server it never does, the planner believes
    conversations to be short: to find the last messages it reads all of them and sorts.
    """
    await engine.fetch(ANALYZE, timeout=ANALYZE_TIMEOUT)
