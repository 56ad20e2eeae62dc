"""/health: whether the process is up, and whether the database answered when last asked."""

import pytest

from chatkeep.entrypoints.app import create_app
from chatkeep.entrypoints.bootstrap.service import identity
from chatkeep.entrypoints.bootstrap.use_cases import memory_chatkeep, transfer
from tests.api.builders import refused
from tests.support.application import Service, failing, serving, settings


@pytest.mark.parametrize(("path", "status"), [("live", "live"), ("ready", "ready")])
async def test_who_is_well_says_so_to_anybody(service: Service, path: str, status: str) -> None:
    response = await service.nobody().get(f"/health/{path}")

    assert (response.status_code, response.json()) == (200, {"status": status})


async def test_without_a_database_the_process_lives_and_is_not_ready() -> None:
    answers = iter([False, True, False])
    chatkeep = memory_chatkeep()
    app = create_app(
        chatkeep,
        transfer(chatkeep),
        identity(settings()),
        settings=settings(),
        ready=lambda: next(answers),
    )
    async with serving(settings(), app=app) as service:
        nobody = service.nobody()
        for expected in (503, 200, 503):
            response = await nobody.get("/health/ready")
            assert response.status_code == expected
            assert (await nobody.get("/health/live")).status_code == 200

        assert refused(response, 503, "not-ready")["detail"] == (
            "The database cannot be reached, or is not migrated."
        )
        assert response.headers["retry-after"] == "1"


async def test_being_asked_never_touches_the_database() -> None:
    asked = AssertionError("the database was asked")
    async with serving(settings(), failing(asked)) as service:
        for path in ("/health/live", "/health/ready", "/metrics", "/docs"):
            assert (await service.nobody().get(path)).status_code == 200
