"""GET /v1/users: the users that a service finds."""

import pytest

from tests.api.builders import paged, refused, started
from tests.support.application import Caller, Service


async def test_a_service_finds_users_by_prefix_with_what_they_have(service: Service) -> None:
    for user in ("team/ann", "team/bob", "Team/carol"):
        await service.key().put(f"/v1/users/{user.replace('/', '%2F')}")
    conversation = await started(service.user("team/bob"))

    answer = await service.key().get("/v1/users", params={"prefix": "team/"})

    assert answer.json() == {
        "items": [
            {
                "id": "team/ann",
                "conversations": {"value": 0, "exact": True},
                "latest_activity": None,
            },
            {
                "id": "team/bob",
                "conversations": {"value": 1, "exact": True},
                "latest_activity": conversation["updated_at"],
            },
        ],
        "next_cursor": None,
    }


async def test_the_list_has_pages(service: Service) -> None:
    for number in range(5):
        await service.key().put(f"/v1/users/page-{number}")

    pages = await paged(service.key(), "/v1/users", prefix="page-", limit=2)

    assert [[user["id"] for user in page] for page in pages] == [
        ["page-0", "page-1"],
        ["page-2", "page-3"],
        ["page-4"],
    ]


async def test_it_is_for_services_only(service: Service, alice: Caller) -> None:
    refused(await alice.get("/v1/users"), 403, "insufficient-scope")
    assert (await service.nobody().get("/v1/users")).status_code == 401
    assert (await service.key("alice").get("/v1/users")).status_code == 200


@pytest.mark.parametrize(
    ("parameters", "status", "kind", "field"),
    [
        ({"prefix": "x" * 256}, 422, "invalid-value", "prefix"),
        ({"prefix": "\0"}, 422, "invalid-value", "prefix"),
        ({"limit": "101"}, 422, "limit-exceeded", "limit"),
        ({"cursor": "WzEsMl0"}, 422, "invalid-value", "cursor"),
        ({"cursor": "WyJ1c2VycyIsICIiLCAiXHUwMDAwIl0"}, 422, "invalid-value", "cursor"),
    ],
)
async def test_what_cannot_be_listed_is_refused(
    service: Service, parameters: dict[str, str], status: int, kind: str, field: str
) -> None:
    refused(await service.key().get("/v1/users", params=parameters), status, kind, field)


async def test_another_prefix_than_the_cursors_is_refused(service: Service) -> None:
    for number in range(2):
        await service.key().put(f"/v1/users/same-{number}")
    first = await service.key().get("/v1/users", params={"prefix": "same-", "limit": 1})
    cursor = first.json()["next_cursor"]

    refused(
        await service.key().get("/v1/users", params={"prefix": "other", "cursor": cursor}),
        422,
        "invalid-value",
        "prefix",
    )
