"""GET /v1/overview: the service as a whole, for service keys."""

import asyncio
from time import monotonic
from typing import Final

from litestar import get

from chatkeep.domain.use_cases import Chatkeep
from chatkeep.entrypoints.http.auth.authentication import FOR_SERVICES, require_service
from chatkeep.entrypoints.http.body import JsonRequest
from chatkeep.entrypoints.http.overview_schemas import OverviewOut
from chatkeep.entrypoints.http.problems import problems
from chatkeep.entrypoints.http.router import Router

FRESH_SECONDS: Final = 30.0


def overview_routes(chatkeep: Chatkeep, plan_bytes: int) -> Router:
    cached = _Cached(chatkeep, plan_bytes)

    @get(
        "/overview",
        operation_id="getOverview",
        security=FOR_SERVICES,
        summary="See the service as a whole",
        response_description="The overview, collected at most 30 seconds ago.",
        responses=problems(),
    )
    async def overview(request: JsonRequest) -> OverviewOut:
        """Return totals, the messages of 14 days, drafts, the last sweep, and latencies.

        For service keys only. Its cost has a bound, however much is stored: totals are estimates,
        and what is counted is counted up to a limit.
        """
        require_service(request.user)
        return await cached.get()

    return Router("/", tags=["overview"], route_handlers=[overview])


class _Cached:
    """Collects the overview at most once in `FRESH_SECONDS`, in this process."""

    def __init__(self, chatkeep: Chatkeep, plan_bytes: int) -> None:
        self._chatkeep = chatkeep
        self._plan_bytes = plan_bytes
        self._lock = asyncio.Lock()
        self._found: tuple[float, OverviewOut] | None = None

    async def get(self) -> OverviewOut:
        async with self._lock:  # later callers wait, and get what the first one gets
            now = monotonic()
            if self._found is None or now - self._found[0] >= FRESH_SECONDS:
                at = self._chatkeep.clock.now()
                found = await self._chatkeep.overviews.collect(at)
                self._found = now, OverviewOut.from_domain(at, found, self._plan_bytes)
            return self._found[1]
