"""Users over HTTP: what I have, erasing me, and the users that a service manages."""

import pytest

from tests.api.builders import (
    CONVERSATIONS,
    an_id,
    appended,
    at,
    listed,
    numbered,
    reason,
    refused,
    says,
    started,
)
from tests.support.application import Caller, Service

USER_IDS = {
    "plain": ("carol", "carol"),
    "an issuer's": ("auth0|5f7c8ec7", "auth0%7C5f7c8ec7"),
    "a slash": ("team/carol", "team%2Fcarol"),
    "a small one": ("team/small", "team%2fsmall"),
    "slashes at the ends": ("/a//b/", "%2Fa%2F%2Fb%2F"),
    "a URL": ("https://id.example/u?x=1#y", "https%3A%2F%2Fid.example%2Fu%3Fx%3D1%23y"),
    "spaces": (" a b ", "%20a%20b%20"),
    "a plus": ("a+b", "a+b"),
    "a percent": ("100%2F", "100%252F"),
    "an at": ("carol@example.org", "carol@example.org"),
    "not ASCII": ("Zoë 中 😀", "Zo%C3%AB%20%E4%B8%AD%20%F0%9F%98%80"),
    "composed otherwise": ("Zoe\u0308", "Zoe%CC%88"),
    "a path of ours": ("/v1/users/dave", "%2Fv1%2Fusers%2Fdave"),
    "the longest": ("u" * 255, "u" * 255),
    "the longest, not ASCII": ("中" * 255, "%E4%B8%AD" * 255),
}


async def test_usage_counts_what_is_there(alice: Caller, bob: Caller) -> None:
    assert (await alice.get("/v1/me")).json() == {
        "user_id": alice.user_id,
        "conversations": 0,
        "active": 0,
        "archived": 0,
        "messages": 0,
        "retained": 0,
    }
    await started(bob, says("not alice's"))
    first = await started(alice, *numbered(3))
    second = await started(alice)
    [message] = await appended(alice, second, says("and gone"))
    await alice.delete(at(second, "messages", message["id"]))
    await alice.patch(at(first), json={"status": "archived"})

    assert (await alice.get("/v1/me")).json() == {
        "user_id": alice.user_id,
        "conversations": 2,
        "active": 1,
        "archived": 1,
        "messages": 3,
        "retained": 0,
    }


async def test_erasing_me_leaves_nothing_of_me_and_all_of_others(
    alice: Caller, bob: Caller
) -> None:
    mine = await started(alice, *numbered(2))
    theirs = await started(bob, *numbered(2))

    response = await alice.delete("/v1/me")

    assert (response.status_code, response.content) == (204, b"")
    assert await listed(alice, CONVERSATIONS) == []
    refused(await alice.get(at(mine)), 404, "not-found")
    assert (await alice.get("/v1/me")).json()["messages"] == 0
    assert [each["id"] for each in await listed(bob, CONVERSATIONS)] == [theirs["id"]]


async def test_erasing_me_twice_is_no_error_and_no_farewell(alice: Caller) -> None:
    await alice.delete("/v1/me")

    assert (await alice.delete("/v1/me")).status_code == 204
    assert (await started(alice, says("back")))["message_count"] == 1


async def test_a_service_adds_a_user_once(service: Service) -> None:
    path = f"/v1/users/{an_id()}"

    first = await service.key().put(path)
    again = await service.key().put(path)

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json() == {"id": path.removeprefix("/v1/users/")}


async def test_a_service_erases_a_user_with_all_they_own(service: Service, alice: Caller) -> None:
    conversation = await started(alice, says("Hello"))
    path = f"/v1/users/{alice.user_id.replace(' ', '%20')}"

    response = await service.key().delete(path)

    assert (response.status_code, response.content) == (204, b"")
    refused(await alice.get(at(conversation)), 404, "not-found")
    assert alice.user_id in refused(await service.key().delete(path), 404, "not-found")["detail"]


@pytest.mark.parametrize(("user_id", "encoded"), USER_IDS.values(), ids=USER_IDS)
async def test_every_user_id_has_its_path(service: Service, user_id: str, encoded: str) -> None:
    await service.key().delete(f"/v1/users/{encoded}")
    added = await service.key().put(f"/v1/users/{encoded}")

    assert (added.status_code, added.json()) == (201, {"id": user_id})
    mine = await started(service.user(user_id), title="mine")
    assert (await service.key(acting_for=user_id).get(at(mine))).json() == mine
    assert (await service.key().delete(f"/v1/users/{encoded}")).status_code == 204
    refused(await service.user(user_id).get(at(mine)), 404, "not-found")


@pytest.mark.parametrize(
    ("encoded", "why"),
    [
        ("u" * 256, "has 256 characters; at most 255"),
        ("%E4%B8%AD" * 256, "has 256 characters; at most 255"),
        ("a%00b", "contains the NUL character"),
        ("a%FFb", "is not percent-encoded UTF-8"),
        ("%ED%A0%80", "is not percent-encoded UTF-8"),
        ("a/b", "contains a slash; write it as %2F"),
        ("a/", "contains a slash; write it as %2F"),
    ],
)
@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_what_is_no_user_id_is_refused(
    service: Service, method: str, encoded: str, why: str
) -> None:
    response = await service.key().request(method, f"/v1/users/{encoded}")

    assert reason(refused(response, 422, "invalid-value", "user_id")) == why


async def test_no_user_is_erased_in_place_of_another(service: Service) -> None:
    """Ids that a careless decoder would take for `dave`."""
    dave = service.user("dave")
    conversation = await started(dave, says("here to stay"))

    for encoded in ("dave%2F", "%2Fdave", "dave%20", "dave%00", "dave/", "Dave", "dave%FF", ""):
        response = await service.key().delete(f"/v1/users/{encoded}")
        assert response.status_code in {404, 405, 422}

    assert (await dave.get(at(conversation))).status_code == 200


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_users_are_for_services_only(service: Service, alice: Caller, method: str) -> None:
    for user_id in ("somebody", alice.user_id.replace(" ", "%20")):
        response = await alice.request(method, f"/v1/users/{user_id}")
        refused(response, 403, "insufficient-scope")
