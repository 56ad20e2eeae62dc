"""What the database holds and how it grows, on Postgres."""

from adapters.database_url import parse_database_url
from adapters.piccolo.report import COUNTED_UP_TO
from adapters.piccolo.report import report as report_on
from adapters.piccolo.report_parts import Count, Report, Wanted
from entrypoints.bootstrap.database import unpooled
from entrypoints.settings import Settings

__all__ = ["COUNTED_UP_TO", "Count", "Report", "Wanted", "report"]


async def report(wanted: Wanted, settings: Settings) -> Report:
    """Return the report on the settings' Postgres. Raises `StoreUnavailableError`."""
    return await report_on(unpooled(parse_database_url(settings.database_url)), wanted)
