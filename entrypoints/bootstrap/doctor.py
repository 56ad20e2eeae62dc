"""The examination of a database, on Postgres."""

from chatkeep.adapters.clock import SystemClock
from chatkeep.adapters.database_url import parse_database_url
from chatkeep.adapters.operator.doctor.runner import Examination
from chatkeep.domain.ports import Clock
from chatkeep.entrypoints.bootstrap.database import direct_url
from chatkeep.entrypoints.settings import Settings


def examination(
    settings: Settings, *, repair: bool = False, clock: Clock | None = None
) -> Examination:
    """Return the examination of the settings' database. Raises `DatabaseUrlError`."""
    return Examination(
        url=parse_database_url(settings.database_url),
        direct=direct_url(settings),
        clock=clock or SystemClock(),
        provision_users=settings.provision_users,
        repair=repair,
    )
