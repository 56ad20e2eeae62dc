"""Whether users come by themselves or are added first."""

from tests.api.builders import CONVERSATIONS, an_id, at, listed, refused, says, started
from tests.support.application import Service, serving, settings


async def test_a_user_is_added_on_their_first_write(service: Service) -> None:
    user_id = an_id()
    await started(service.user(user_id))

    assert (await service.key().put(f"/v1/users/{user_id}")).status_code == 200


async def test_reading_adds_nobody(service: Service) -> None:
    user_id = an_id()
    for path in ("/v1/me", CONVERSATIONS):
        assert (await service.user(user_id).get(path)).status_code == 200

    assert (await service.key().put(f"/v1/users/{user_id}")).status_code == 201


async def test_a_stranger_is_told_how_to_get_in() -> None:
    async with serving(settings(provision_users=False)) as service:
        stranger = service.user("alice")
        for response in (
            await stranger.post(CONVERSATIONS, json={"messages": [says("Hello")]}),
            await stranger.put(f"{CONVERSATIONS}/{an_id()}"),
        ):
            problem = refused(response, 403, "user-not-provisioned")
            assert "alice" in problem["detail"]
            assert "add" in problem["detail"]

        assert await listed(stranger, CONVERSATIONS) == []
        assert (await stranger.get("/v1/me")).json()["conversations"] == 0


async def test_a_service_lets_them_in_and_out() -> None:
    async with serving(settings(provision_users=False)) as service:
        alice = service.user("alice")
        await service.key().put("/v1/users/alice")

        made = await started(alice, says("Hello"))
        assert (await alice.put(f"{CONVERSATIONS}/{an_id()}")).status_code == 201
        assert (await alice.post(at(made, "messages"), json=says("there"))).status_code == 201

        await service.key().delete("/v1/users/alice")
        refused(await alice.post(CONVERSATIONS, json={}), 403, "user-not-provisioned")


async def test_a_service_that_acts_for_a_stranger_is_told_too() -> None:
    async with serving(settings(provision_users=False)) as service:
        response = await service.key(acting_for="alice").post(CONVERSATIONS, json={})

        refused(response, 403, "user-not-provisioned")
