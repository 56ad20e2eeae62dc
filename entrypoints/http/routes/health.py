"""/health: liveness and readiness probes. Neither queries the database."""

from collections.abc import Callable

from litestar import get
from litestar.openapi.datastructures import ResponseSpec

from chatkeep.entrypoints.http.problems import PROBLEM_JSON, Problem, ProblemError
from chatkeep.entrypoints.http.router import Router


def health_routes(ready: Callable[[], bool]) -> Router:
    @get(
        "/live",
        operation_id="isLive",
        summary="Is the process up?",
        response_description="Yes.",
        sync_to_thread=False,
    )
    def is_live() -> dict[str, str]:
        """200 as long as the process can answer; restart it if it does not."""
        return {"status": "live"}

    @get(
        "/ready",
        operation_id="isReady",
        summary="Can it serve?",
        response_description="Yes.",
        sync_to_thread=False,
        responses={503: ResponseSpec(Problem, generate_examples=False, media_type=PROBLEM_JSON)},
    )
    def is_ready() -> dict[str, str]:
        """200 if the latest query to the database succeeded.

        The probe itself sends no query, so polling never wakes a suspended database.
        """
        if not ready():
            raise ProblemError(
                503,
                "not-ready",
                "The database cannot be reached, or is not migrated.",
                headers={"Retry-After": "1"},
            )
        return {"status": "ready"}

    return Router("/health", tags=["health"], route_handlers=[is_live, is_ready])
