"""The list of conversations with filters: what it finds, and how its pages go on."""

import json
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest

from chatkeep.domain import conversation_use_cases
from chatkeep.domain.model import Status
from chatkeep.entrypoints.http import cursors
from chatkeep.entrypoints.http.cursors import ConversationsCursor
from tests.api.builders import CONVERSATIONS, an_id, at, reason, refused, says, started
from tests.support.application import Caller
from tests.support.json_schema import JsonObject


async def found(caller: Caller, limit: int = 20, **query: Any) -> list[list[str]]:  # noqa: ANN401
    """Return the titles on each page of a list, following `next_cursor` alone."""
    pages = []
    asked: JsonObject = {**query, "limit": limit}
    while True:
        response = await caller.get(CONVERSATIONS, params=asked)
        assert response.status_code == 200, response.text
        page = response.json()
        pages.append([each["title"] for each in page["items"]])
        if page["next_cursor"] is None:
            return pages
        asked = {"cursor": page["next_cursor"], "limit": limit}


async def start_some(caller: Caller) -> None:
    """Store five conversations, the last of them with the latest activity."""
    for title, metadata in (
        ("A", {"agent": "support", "language": "de"}),
        ("B", {"agent": "sales", "language": "de"}),
        ("C", {"agent": "support", "language": "en", "rating": 5, "vip": True}),
        ("D", {}),
        ("E", {"agent": "support", "language": "de", "rating": "5", "a[b] &=": "ü+ %"}),
    ):
        await started(caller, title=title, metadata=metadata)


@pytest.mark.parametrize(
    ("query", "titles"),
    [
        ("metadata[agent]=support", "ECA"),
        ("metadata[agent]=support&metadata[language]=de", "EA"),
        ("metadata%5Bagent%5D=support", "ECA"),
        ("metadata[rating]=5", "EC"),
        ("metadata[vip]=true", "C"),
        ("metadata[agent]=Support", ""),
        ("metadata[agent]=", ""),
        ("metadata[agent]=null", ""),
        ("metadata[a%5Bb%5D%20%26%3D]=%C3%BC%2B%20%25", "E"),
        ("metadata[agent]=support&status=active", "ECA"),
        ("metadata[agent]=support&status=archived", ""),
        ("updated_after=2020-01-01T00:00:00Z&metadata[language]=en", "C"),
        ("updated_after=9999-12-31T23:59:59Z", ""),
        ("updated_before=9999-12-31T23:59:59.999999Z", "EDCBA"),
        ("updated_before=2020-01-01T00:00:00%2B02:00", ""),
        ("updated_after=0001-01-01T00:00:00Z", "EDCBA"),
    ],
)
async def test_a_list_has_what_matches_all_its_filters(
    alice: Caller, bob: Caller, query: str, titles: str
) -> None:
    await start_some(alice)
    await started(bob, title="of Bob", metadata={"agent": "support"})

    page = (await alice.get(f"{CONVERSATIONS}?{query}")).json()

    assert "".join(each["title"] for each in page["items"]) == titles
    assert page["next_cursor"] is None


async def test_a_list_by_creation_stays_in_order_whatever_happens(alice: Caller) -> None:
    await start_some(alice)
    earliest = (await alice.get(CONVERSATIONS)).json()["items"][-1]
    await alice.post(at(earliest, "messages"), json=says("up"))

    assert await found(alice, limit=2) == [["A", "E"], ["D", "C"], ["B"]]
    assert await found(alice, limit=2, sort="updated") == [["A", "E"], ["D", "C"], ["B"]]
    assert await found(alice, limit=2, sort="created") == [["E", "D"], ["C", "B"], ["A"]]
    support = {"sort": "created", "metadata[agent]": "support", "status": "active"}
    assert await found(alice, 1, **support) == [["E"], ["C"], ["A"]]


async def test_too_many_to_sort_by_creation_are_refused(
    alice: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    await start_some(alice)
    earliest = (await alice.get(CONVERSATIONS)).json()["items"][-1]["updated_at"]
    monkeypatch.setattr(conversation_use_cases, "MAX_SORTED", 4)

    response = await alice.get(CONVERSATIONS, params={"sort": "created"})

    why = reason(refused(response, 422, "invalid-value", "sort"))
    assert why.startswith("has more than 4 conversations to put in order; narrow the list")
    assert await found(alice, sort="created", updated_after=earliest) == [["E", "D", "C", "B"]]


async def test_a_list_counts_what_matches_on_all_its_pages(
    alice: Caller, bob: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    await start_some(alice)
    await started(bob)
    support = {"metadata[agent]": "support", "limit": 1, "count": "true"}

    first = (await alice.get(CONVERSATIONS, params=support)).json()
    last = {"cursor": first["next_cursor"], "count": "true", "limit": 20}

    assert first["count"] == {"value": 3, "exact": True}
    assert (await alice.get(CONVERSATIONS, params=last)).json()["count"] == first["count"]
    everything = (await alice.get(CONVERSATIONS, params={"count": "true"})).json()
    assert everything["count"] == {"value": 5, "exact": True}
    for query in ({}, {"count": "false"}):
        assert "count" not in (await alice.get(CONVERSATIONS, params=query)).json()
    monkeypatch.setattr(conversation_use_cases, "MAX_COUNTED", 3)
    bounded = (await alice.get(CONVERSATIONS, params={"count": "true"})).json()
    assert bounded["count"] == {"value": 3, "exact": False}


async def test_times_exclude_their_own_moment(alice: Caller) -> None:
    await start_some(alice)
    items = (await alice.get(CONVERSATIONS)).json()["items"]
    latest, earliest = items[0]["updated_at"], items[-1]["updated_at"]

    assert await found(alice, updated_after=earliest) == [["E", "D", "C", "B"]]
    assert await found(alice, updated_before=latest) == [["D", "C", "B", "A"]]
    assert await found(alice, updated_after=earliest, updated_before=latest) == [["D", "C", "B"]]


async def test_a_cursor_carries_all_filters(alice: Caller) -> None:
    await start_some(alice)

    for query in (
        {"metadata[agent]": "support"},
        {"metadata[agent]": "support", "updated_before": "2999-01-01T00:00:00Z"},
        {"metadata[agent]": "support", "status": "active"},
    ):
        assert await found(alice, limit=1, **query) == [["E"], ["C"], ["A"]]


@pytest.mark.parametrize(
    ("asked", "repeated", "field"),
    [
        ({"metadata[a]": "b"}, {"metadata[a]": "c"}, "metadata"),
        ({"metadata[a]": "b"}, {"metadata[a]": "b", "metadata[c]": "d"}, "metadata"),
        ({}, {"metadata[a]": "b"}, "metadata"),
        ({"metadata[a]": "b"}, {"status": "active"}, "status"),
        ({}, {"sort": "created"}, "sort"),
        ({"sort": "created"}, {"sort": "updated"}, "sort"),
        ({"sort": "created"}, {"status": "archived"}, "status"),
        ({"status": "active"}, {"updated_after": "2020-01-01T00:00:00Z"}, "updated_after"),
        (
            {"updated_before": "2999-01-01T00:00:00Z"},
            {"updated_before": "2998-01-01T00:00:00Z"},
            "updated_before",
        ),
    ],
)
async def test_a_filter_does_not_contradict_the_cursor(
    alice: Caller, asked: JsonObject, repeated: JsonObject, field: str
) -> None:
    for _ in range(2):
        await started(alice, metadata={"a": "b"})
    page = (await alice.get(CONVERSATIONS, params={**asked, "limit": 1})).json()
    again = {**repeated, "cursor": page["next_cursor"]}

    refused(await alice.get(CONVERSATIONS, params=again), 422, "invalid-value", field)
    same = {**asked, "cursor": page["next_cursor"]}
    assert len((await alice.get(CONVERSATIONS, params=same)).json()["items"]) == 1


@pytest.mark.parametrize("sort", ["updated", "created"])
async def test_a_list_goes_on_behind_a_conversation(alice: Caller, bob: Caller, sort: str) -> None:
    await start_some(alice)
    theirs = await started(bob, id="Bob's")
    ids = {each["title"]: each["id"] for each in (await alice.get(CONVERSATIONS)).json()["items"]}

    async def titles(**query: str) -> str:
        response = await alice.get(CONVERSATIONS, params={"sort": sort, **query})
        return "".join(each["title"] for each in response.json()["items"])

    assert await titles(after=ids["D"]) == "CBA"
    assert await titles(after=ids["A"]) == ""
    # It need not match the filters itself.
    assert await titles(after=ids["D"], **{"metadata[agent]": "support"}) == "CA"
    assert await found(alice, limit=1, after=ids["D"], sort=sort) == [["C"], ["B"], ["A"]]
    for after in ("absent", theirs["id"]):
        response = await alice.get(CONVERSATIONS, params={"after": after, "sort": sort})
        refused(response, 404, "not-found")
    page = (await alice.get(CONVERSATIONS, params={"limit": 1, "sort": sort})).json()
    both = {"after": ids["D"], "cursor": page["next_cursor"]}
    refused(await alice.get(CONVERSATIONS, params=both), 422, "invalid-value", "after")
    refused(await alice.get(CONVERSATIONS, params={"after": ".."}), 422, "invalid-value", "after")


async def test_a_request_that_has_read_enough_says_where_to_go_on(
    alice: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation_use_cases, "MAX_READ", 2)
    await start_some(alice)

    assert await found(alice, 20, **{"metadata[agent]": "sales"}) == [[], ["B"], []]


@pytest.mark.parametrize(
    ("query", "field", "why"),
    [
        ("metadata=support", "metadata", "needs a key: metadata[key]=value"),
        ("metadata[a]=b&metadata[a]=b", "metadata[a]", "is given 2 times; give it once"),
        ("metadata[]=b", "metadata[]", None),
        ("metadata[a=b", "metadata[a", None),
        ("metadatas[a]=b", "metadatas[a]", None),
        ("status[a]=active", "status[a]", None),
        ("count=many", "count", "must be a boolean"),
        ("count=null", "count", "is null; leave it out instead"),
        ("sort=title", "sort", "must be one of updated, created"),
        ("updated_after=", "updated_after", None),
        ("updated_after=yesterday", "updated_after", None),
        ("updated_after=5", "updated_after", None),
        ("updated_after=2026-01-01", "updated_after", None),
        ("updated_after=2026-01-01T00:00:00", "updated_after", None),
        ("updated_after=2026-01-01T00:00:00+01:00", "updated_after", None),
        ("updated_before=0001-01-01T00:00:00%2B14:00", "updated_before", None),
        ("updated_before=null", "updated_before", "is null; leave it out instead"),
        ("&".join(f"metadata[{n}]=" for n in range(17)), "metadata", "has 17 filters; at most 16"),
        (
            f"metadata[a]={'b' * 4_090}",
            "metadata",
            "has 4099 bytes as JSON; at most 4096",
        ),
        ("&".join(f"metadata[{n}]=" for n in range(101)), "query", None),
    ],
)
async def test_a_filter_that_is_wrong_is_named(
    alice: Caller, query: str, field: str, why: str | None
) -> None:
    problem = refused(await alice.get(f"{CONVERSATIONS}?{query}"), 422, "invalid-value", field)

    if why is not None:
        assert reason(problem) == why


async def test_the_largest_filters_fit_into_a_cursor(alice: Caller) -> None:
    metadata = {f"\x00{number:02}": "\x01" * 40 for number in range(16)}
    assert 4_000 < len(json.dumps(metadata)) <= 4_096
    for _ in range(2):
        await started(alice, title="full", metadata=metadata, id=an_id())
    query = {f"metadata[{key}]": value for key, value in metadata.items()}

    assert await found(alice, limit=1, **query) == [["full"], ["full"]]


async def test_a_list_of_active_ones_reads_archived_ones_up_to_a_bound(
    alice: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation_use_cases, "MAX_READ", 3)
    await started(alice, title="first")
    for _ in range(7):
        archived = await started(alice)
        await alice.patch(at(archived), json={"status": "archived"})

    assert await found(alice, status="active") == [[], [], ["first"]]


async def test_a_cursor_of_earlier_versions_goes_on_with_the_active_ones(alice: Caller) -> None:
    one, two = await started(alice), await started(alice)
    at_two = datetime.fromisoformat(two["updated_at"])
    cursor = cursors.encode(ConversationsCursor(Status.ACTIVE, at_two, UUID(two["id"])))
    page = (await alice.get(CONVERSATIONS, params={"cursor": cursor, "status": "active"})).json()
    assert [each["id"] for each in page["items"]] == [one["id"]]
