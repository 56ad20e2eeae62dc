"""GET /v1/overview: the service as a whole, for service keys."""

from typing import Final

from litestar import get

from chatkeep.domain.use_cases import Chatkeep
from chatkeep.entrypoints.http.auth.authentication import FOR_SERVICES, require_service
from chatkeep.entrypoints.http.body import JsonRequest
from chatkeep.entrypoints.http.overview_schemas import OverviewOut
from chatkeep.entrypoints.http.problems import problems
from chatkeep.entrypoints.http.router import Router
from chatkeep.entrypoints.http.snapshots import Snapshot

FRESH_SECONDS: Final = 30.0


def overview_routes(chatkeep: Chatkeep, plan_bytes: int) -> Router:
    async def collect() -> OverviewOut:
        at = chatkeep.clock.now()
        return OverviewOut.from_domain(at, await chatkeep.overviews.collect(at), plan_bytes)

    snapshot = Snapshot(collect, FRESH_SECONDS)

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
        return await snapshot.get()

    return Router("/", tags=["overview"], route_handlers=[overview])
