"""GET /v1/overview: the service as a whole."""

from tests.api.builders import refused, started
from tests.support.application import Caller, Service, serving, settings


async def test_a_service_sees_totals_and_recent_days() -> None:
    async with serving(settings()) as service:
        alice = service.user("alice")
        chat = await started(alice, messages=[{"role": "user", "content": "Hello"}])
        await alice.post(f"/v1/conversations/{chat['id']}/drafts", json={})

        found = (await service.key().get("/v1/overview")).json()

        assert found["totals"] == {
            "users": 1,
            "conversations": 1,
            "messages": 1,
            "estimated": False,
        }
        assert sum(day["messages"]["value"] for day in found["days"]) == 1
        assert len(found["days"]) == 14
        assert found["drafts"] == {"active": 1, "interrupted": 0, "exact": True}
        assert (found["storage"], found["latencies"], found["last_sweep"]) == (None, None, None)
        assert found["last_examination"] is None

        await started(alice)

        assert (await service.key().get("/v1/overview")).json() == found  # it is kept for a while


async def test_it_is_for_services_only(service: Service, alice: Caller) -> None:
    refused(await alice.get("/v1/overview"), 403, "insufficient-scope")
    assert (await service.nobody().get("/v1/overview")).status_code == 401
