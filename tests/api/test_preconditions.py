"""ETag, If-Match and If-None-Match: the revision of a conversation."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from tests.api.builders import CONVERSATIONS, an_id, at, listed, numbered, refused, says, started
from tests.support.application import Caller, Headers, Service

Request = Callable[..., Awaitable[httpx.Response]]

READS = ["", "messages", "context"]


def only(*tags: str) -> dict[str, str]:
    return {"If-Match": ", ".join(tags)}


def unless(*tags: str) -> dict[str, str]:
    return {"If-None-Match": ", ".join(tags)}


async def change_one_after_the_other(alice: Caller) -> list[tuple[str, httpx.Response]]:
    """Make every kind of change of one conversation, and return what each was answered."""
    made = await alice.post(CONVERSATIONS, json={"messages": numbered(2)})
    conversation = made.json()
    [first, _] = conversation["messages"]
    path = at(conversation)
    return [
        ("create", made),
        ("append", await alice.post(f"{path}/messages", json=says("a"))),
        ("append several", await alice.post(f"{path}/messages", json={"messages": numbered(2)})),
        ("append and read", await alice.post(f"{path}/messages?context=2", json=says("b"))),
        ("rename", await alice.patch(path, json={"title": "x"})),
        ("change nothing", await alice.patch(path, json={})),
        ("delete a message", await alice.delete(f"{path}/messages/{first['id']}")),
    ]


async def test_every_change_is_answered_with_the_next_revision(alice: Caller) -> None:
    answers = await change_one_after_the_other(alice)

    for revision, (name, response) in enumerate(answers, 1):
        assert response.headers["etag"] == f'"{revision}"', name


@pytest.mark.parametrize("path", READS)
async def test_every_read_has_the_revision_and_is_not_sent_twice(alice: Caller, path: str) -> None:
    conversation = await started(alice, *numbered(3))
    url = at(conversation, *([path] if path else []))
    first = await alice.get(url)

    assert (first.status_code, first.headers["etag"]) == (200, '"1"')
    for tags in (['"1"'], ['W/"1"'], ['"7"', '"1"'], ['"x"', 'W/"1"'], ["*"]):
        for method in ("GET", "HEAD"):
            again = await alice.request(method, url, unless(*tags))
            assert (again.status_code, again.content) == (304, b"")
            assert again.headers["etag"] == '"1"'
    for tags in (['"0"'], ['"2"', 'W/"3"'], ['"x"'], ['"01"']):
        other = await alice.get(url, unless(*tags))
        assert (other.status_code, other.json()) == (200, first.json())

    await alice.post(at(conversation, "messages"), json=says("new"))
    changed = await alice.get(url, unless('"1"'))
    assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')


async def test_a_list_has_the_revisions_but_no_etag(alice: Caller) -> None:
    conversation = await started(alice)

    response = await alice.get(CONVERSATIONS, unless("*"))

    assert response.status_code == 200
    assert "etag" not in response.headers
    assert response.json()["items"] == [conversation]
    assert conversation["revision"] == 1


async def changes_of(alice: Caller) -> tuple[dict[str, Any], list[tuple[Request, str, Any]]]:
    path = at(await started(alice, *numbered(2)))
    [first, _] = await listed(alice, f"{path}/messages")
    conversation = (await alice.get(path)).json()
    return conversation, [
        (alice.post, f"{path}/messages", says("a")),
        (alice.post, f"{path}/messages?context=2", {"messages": numbered(2)}),
        (alice.post, f"{path}/messages", says("a", id=an_id(), name="Ann")),
        (alice.patch, path, {"title": "x"}),
        (alice.put, path, {}),
        (alice.delete, f"{path}/messages/{first['id']}", None),
        (alice.delete, path, None),
    ]


async def test_a_change_of_another_revision_is_refused_and_tells_the_current_one(
    alice: Caller,
) -> None:
    conversation, changes = await changes_of(alice)
    history = await listed(alice, at(conversation, "messages"))

    for request, path, body in changes:
        options = {} if body is None else {"json": body}
        for tags in (
            ['"0"'],
            ['"2"'],
            ['"x"'],
            ['W/"1"'],
            ['"2"', '"3"'],
            ['"99999999999999999999"'],
        ):
            problem = refused(await request(path, only(*tags), **options), 412, "revision-conflict")
            assert problem["revision"] == 1
            assert "revision 1 now" in problem["detail"]
        response = await request(path, unless('"1"'), **options)
        refused(response, 412, "revision-conflict")
        assert response.headers["etag"] == '"1"'

    assert (await alice.get(at(conversation))).json() == conversation
    assert await listed(alice, at(conversation, "messages")) == history


@pytest.mark.parametrize("tags", [['"1"'], ["*"], ['"0"', '"1"'], ['W/"1"', '"1"', "", '"x"']])
async def test_a_change_of_the_right_revision_is_made(alice: Caller, tags: list[str]) -> None:
    for which in range(7):
        _, changes = await changes_of(alice)
        request, path, body = changes[which]
        options = {} if body is None else {"json": body}

        response = await request(path, only(*tags), **options)

        assert response.is_success, (path, response.text)


async def test_several_headers_are_one_list(alice: Caller) -> None:
    conversation = await started(alice)
    both: Headers = [("If-Match", '"5"'), ("If-Match", '"1"')]

    response = await alice.patch(at(conversation), both, json={"title": "x"})

    assert (response.status_code, response.json()["revision"]) == (200, 2)


@pytest.mark.parametrize(
    "value", ["1", "", ",", '"1', '"1" "2"', '"a"b', 'w/"1"', '*, "1"', '"1"; x']
)
@pytest.mark.parametrize("header", ["If-Match", "If-None-Match"])
async def test_a_malformed_condition_is_refused_by_name(
    alice: Caller, header: str, value: str
) -> None:
    conversation, changes = await changes_of(alice)

    requests = [
        *changes,
        *((alice.get, at(conversation, *([path] if path else [])), None) for path in READS),
        (alice.put, f"{CONVERSATIONS}/{an_id()}", {}),
    ]
    for request, path, body in requests:
        options = {} if body is None else {"json": body}
        problem = refused(await request(path, {header: value}, **options), 400, "malformed-header")
        assert problem["detail"].startswith(f"{header} is not a list of entity tags")

    assert await listed(alice, CONVERSATIONS) == [conversation]


async def test_an_append_again_is_a_success_although_the_revision_is_another_one(
    alice: Caller,
) -> None:
    conversation = await started(alice)
    path = at(conversation, "messages")
    message = says("once", id=an_id())

    first = await alice.post(path, only('"1"'), json=message)
    again = await alice.post(path, only('"1"'), json=message)
    with_context = await alice.post(f"{path}?context=5", only('"1"'), json=message)
    another = await alice.post(path, only('"1"'), json=says("twice", id=an_id()))

    assert (first.status_code, first.headers["etag"]) == (201, '"2"')
    assert (again.status_code, again.headers["etag"], again.json()) == (201, '"2"', first.json())
    assert with_context.json()["messages"] == first.json()["messages"]
    refused(another, 412, "revision-conflict")
    assert len(await listed(alice, path)) == 1


async def test_other_problems_come_before_the_revision(alice: Caller, service: Service) -> None:
    conversation = await started(alice, *numbered(1))
    wrong = only('"7"')
    for method in (alice.patch, alice.put):
        refused(await method(f"{CONVERSATIONS}/{an_id()}", wrong, json={}), 404, "not-found")
    refused(await alice.delete(f"{CONVERSATIONS}/{an_id()}", wrong), 404, "not-found")
    refused(await alice.delete(at(conversation, "messages", an_id()), wrong), 404, "not-found")
    refused(
        await alice.post(at(conversation, "messages"), wrong, json={}), 422, "invalid-value", "role"
    )
    await service.key(acting_for=alice.user_id).patch(at(conversation), json={"retain": True})
    refused(await alice.delete(at(conversation), wrong), 409, "retained")


async def test_a_conversation_is_created_only_if_it_is_new(alice: Caller) -> None:
    path = f"{CONVERSATIONS}/{an_id()}"

    made = await alice.put(path, unless("*"), json={"title": "mine"})
    again = await alice.put(path, unless("*"), json={"title": "mine"})
    found = await alice.put(path, json={})
    nothing = await alice.put(f"{CONVERSATIONS}/{an_id()}", only("*"), json={})

    assert (made.status_code, made.headers["etag"]) == (201, '"1"')
    assert refused(again, 412, "revision-conflict")["revision"] == 1
    assert (found.status_code, found.headers["etag"], found.json()) == (200, '"1"', made.json())
    refused(nothing, 404, "not-found")


async def test_a_read_may_ask_for_a_revision(alice: Caller) -> None:
    conversation = await started(alice)
    for path in READS:
        url = at(conversation, *([path] if path else []))
        assert (await alice.get(url, only('"1"'))).status_code == 200
        # If-Match is looked at first: section 13.2.2 of RFC 9110.
        both = only('"2"') | unless('"1"')
        refused(await alice.get(url, both), 412, "revision-conflict")


async def test_a_conversation_of_somebody_else_has_no_revision_to_find_out(
    alice: Caller, bob: Caller
) -> None:
    conversation = await started(alice, *numbered(1))
    for headers in (only('"1"'), unless('"1"'), only('"1"', '"2"'), unless("*")):
        for path in READS:
            url = at(conversation, *([path] if path else []))
            refused(await bob.get(url, headers), 404, "not-found")
        refused(await bob.patch(at(conversation), headers, json={}), 404, "not-found")
        refused(await bob.delete(at(conversation), headers), 404, "not-found")
