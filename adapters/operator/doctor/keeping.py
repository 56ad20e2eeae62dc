"""Keeps what the doctor found, for the overview. It is all that an examination leaves behind."""

import asyncpg

from chatkeep.adapters.database_url import DatabaseUrl
from chatkeep.adapters.operator.doctor import connecting
from chatkeep.adapters.operator.doctor.rollback_session import RollbackSession, SessionEngine
from chatkeep.adapters.piccolo.errors import describe
from chatkeep.adapters.piccolo.overview import PiccoloOverviews
from chatkeep.domain.errors import ChatkeepError
from chatkeep.domain.examination import Examination
from chatkeep.domain.ports import Clock


async def keep(url: DatabaseUrl, examination: Examination, clock: Clock) -> str | None:
    """Return why it could not be kept, in one attempt; None if it was.

    A role may only be allowed to read, and a database may be a copy, or have older tables.
    """
    try:
        connection = await connecting.connect(url)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        return describe(error)
    try:
        session = RollbackSession(
            SessionEngine(connection), connection, url, clock, provision_users=False
        )
        async with session.begin() as engine:
            await PiccoloOverviews(engine).record_examination(examination)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, ChatkeepError) as error:
        return describe(error)
    finally:
        await connecting.close(connection)
    return None
