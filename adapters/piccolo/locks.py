"""Advisory locks, each held until its transaction ends. Their numbers never change."""

from typing import Final

from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.statement import Statement

# The numbers spell words in ASCII. They must differ from those that others use in the database.
MIGRATION: Final = int.from_bytes(b"chatkeep")
MOVE: Final = MIGRATION + 1
ADOPTION: Final = int.from_bytes(b"adopting")

WAIT: Final = Statement("locks.wait", "SELECT pg_advisory_xact_lock(:key)")
TRY: Final = Statement("locks.try", "SELECT pg_try_advisory_xact_lock(:key) AS locked")


async def wait_for(engine: Engine, key: int) -> None:
    """Take a lock for the current transaction; wait while another session holds it."""
    await engine.fetch(WAIT, key=key)


async def try_to_take(engine: Engine, key: int) -> bool:
    """Take a lock for the current transaction. Return False if another session holds it."""
    [row] = await engine.fetch(TRY, key=key)
    return bool(row["locked"])
