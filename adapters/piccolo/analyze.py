"""Updates what the planner knows of the tables, after many rows were added at once."""

from typing import Final

from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.statement import Statement

ANALYZE: Final = Statement(
    "statistics.analyze",
    "ANALYZE conversations, messages, conversation_items",
    timeout=300.0,
)


async def refresh(engine: Engine) -> None:
    """Have Postgres sample the tables again. Raises `StoreUnavailableError`.

    Until then, or until autovacuum does it, the planner guesses: it may read and sort a whole
    conversation to find its last messages.
    """
    await engine.fetch(ANALYZE)
