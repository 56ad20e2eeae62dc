"""What the database holds and how it grows, on Postgres."""

from chatkeep.adapters.database_url import parse_database_url
from chatkeep.adapters.operator.stats.parts import Count, Report, Wanted
from chatkeep.adapters.operator.stats.report import COUNTED_UP_TO
from chatkeep.adapters.operator.stats.report import report as report_on
from chatkeep.entrypoints.bootstrap.database import unpooled
from chatkeep.entrypoints.settings import Settings

__all__ = ["COUNTED_UP_TO", "Count", "Report", "Wanted", "report"]


async def report(wanted: Wanted, settings: Settings) -> Report:
    """Return the report on the settings' Postgres. Raises `StoreUnavailableError`."""
    return await report_on(unpooled(parse_database_url(settings.database_url)), wanted)
