"""Another user's words are neither found nor counted, and change no answer of a search."""

from typing import Any

from tests.support.service_process import ServiceProcess, as_user

SEARCH = "/v1/search"
SECRET = "zanzibar"
QUERIES = (
    SECRET,
    "zanz*",
    "za*",
    f"title:{SECRET}",
    f"-{SECRET}",
    f"{SECRET} OR cafe",
    f'"the {SECRET}"',
    "in:plans",
    f"in:plans {SECRET}",
    "role:user",
    "is:archived",
    "after:2020",
    "島",
    "-nothing",
)


async def store(service: ServiceProcess, user: str, title: str, *contents: str) -> str:
    body = {
        "id": "plans",
        "title": title,
        "messages": [{"role": "user", "content": content} for content in contents],
    }
    answer = await service.http.post("/v1/conversations", json=body, headers=as_user(user))
    assert answer.status_code == 201, answer.text
    its_id: str = answer.json()["id"]
    return its_id


async def searches(service: ServiceProcess, user: str) -> dict[tuple[str, str], Any]:
    """Return the answer to each query, in both kinds of list."""
    found = {}
    for query in QUERIES:
        for group in ({}, {"group": "conversation"}):
            answer = await service.http.get(
                SEARCH, params={"q": query, "limit": "2", **group}, headers=as_user(user)
            )
            assert answer.status_code == 200, answer.text
            found[query, str(group)] = answer.json()
    return found


async def test_what_others_say_changes_no_answer(service: ServiceProcess, alice: str) -> None:
    bob = f"bob, not {alice}"[:255]
    await store(service, alice, "Plans", "Meet at the café", "In the autumn", "On an 島")
    before = await searches(service, alice)

    # In a conversation with the same id: more than one search adds to an index, and on two pages.
    secrets = [f"The {SECRET} plan, 島 {number}, café" for number in range(60)]
    await store(service, bob, f"The {SECRET}", *secrets)
    while_bob_is_not_indexed = await searches(service, alice)
    bobs = await searches(service, bob)
    after = await searches(service, alice)

    assert while_bob_is_not_indexed == before
    assert after == before
    assert all(answer["left"] == {"conversations": 0, "messages": 0} for answer in after.values())
    assert SECRET in str(bobs[SECRET, "{}"]["items"])
    assert bobs[SECRET, "{}"]["items"] != before[SECRET, "{}"]["items"] == []
    assert bobs["in:plans", "{}"]["items"] != before["in:plans", "{}"]["items"] != []


async def test_a_cursor_of_another_user_leads_to_nothing_of_theirs(
    service: ServiceProcess, alice: str
) -> None:
    bob = f"bob, not {alice}"[:255]
    await store(service, alice, "Plans", "my own plan")
    await store(service, bob, "Plans", *(f"{SECRET} plan {number}" for number in range(5)))
    bobs = await service.http.get(SEARCH, params={"q": "plan", "limit": "2"}, headers=as_user(bob))
    cursor = bobs.json()["next_cursor"]
    assert cursor is not None

    answer = await service.http.get(
        SEARCH, params={"q": "plan", "limit": "2", "cursor": cursor}, headers=as_user(alice)
    )

    assert answer.status_code in {200, 422}
    assert SECRET not in answer.text
