"""Who is let in, as whom, and what everybody else is told."""

import base64
import json
import time
from typing import Any

import jwt
import pytest

from tests.api.builders import CONVERSATIONS, an_id, at, listed, refused, says, started
from tests.support.application import (
    SECRET,
    SERVICE_KEY,
    Caller,
    Headers,
    Service,
    serving,
    settings,
    token,
)
from tests.support.openapi_contract import PARAMETER

BEARER = f"Bearer {SERVICE_KEY}"
# The tokens below are made when the tests are collected, and some are used much later.
DAY = 86_400


def signed(
    *,
    secret: str = SECRET,
    algorithm: str = "HS256",
    **claims: Any,  # noqa: ANN401 - any claim
) -> str:
    full = {"sub": "alice", "exp": time.time() + DAY} | claims
    given = {name: value for name, value in full.items() if value is not None}
    return f"Bearer {jwt.encode(given, secret, algorithm=algorithm)}"


def unsigned() -> str:
    parts = [{"alg": "none", "typ": "JWT"}, {"sub": "alice", "exp": time.time() + DAY}]
    encoded = [base64.urlsafe_b64encode(json.dumps(each).encode()).rstrip(b"=") for each in parts]
    return f"Bearer {b'.'.join(encoded).decode()}."


NO_CREDENTIALS = {
    "nothing": {},
    "an empty header": {"Authorization": ""},
    "a scheme alone": {"Authorization": "Bearer"},
    "a space for a token": {"Authorization": "Bearer  "},
    "another scheme": {"Authorization": "Basic YWxpY2U6c2VjcmV0"},
    "a token without a scheme": {"Authorization": token().removeprefix("Bearer ")},
    "X-User-Id alone": {"X-User-Id": "alice"},
    "a key in another header": {"X-Api-Key": SERVICE_KEY},
    "a cookie": {"Cookie": f"token={token()}"},
}
INVALID_TOKENS = {
    "no token": "Bearer nonsense",
    "three parts of nonsense": "Bearer a.b.c",
    "the word twice": f"Bearer {token()}",
    "expired": token(expires_in=-60),
    "not valid yet": signed(nbf=time.time() + DAY, exp=time.time() + 2 * DAY),
    "without exp": signed(exp=None),
    "without sub": signed(sub=None),
    "an empty sub": signed(sub=""),
    "too long a sub": signed(sub="u" * 256),
    "a sub with NUL": signed(sub="a\x00b"),
    "unsigned": unsigned(),
    "another secret": signed(secret="another-secret-of-thirty-two-bytes"),
    "another algorithm": signed(secret=SECRET * 2, algorithm="HS512"),
    "a stranger's key": "Bearer sk_two_0123456789abcdef0123456789",
    "not ASCII": "Bearer clé",
    "huge": "Bearer " + "a" * 20_000,
}


@pytest.mark.parametrize("headers", NO_CREDENTIALS.values(), ids=NO_CREDENTIALS)
async def test_nobody_gets_nothing(service: Service, headers: Headers) -> None:
    response = await service.nobody().get(CONVERSATIONS, headers)

    problem = refused(response, 401, "missing-credentials")
    assert "Bearer" in problem["detail"]
    assert response.headers["www-authenticate"] == 'Bearer realm="chatkeep"'


@pytest.mark.parametrize("authorization", INVALID_TOKENS.values(), ids=INVALID_TOKENS)
async def test_a_token_that_proves_nothing_is_refused(service: Service, authorization: str) -> None:
    response = await service.nobody().get(CONVERSATIONS, {"Authorization": authorization})

    problem = refused(response, 401, "invalid-token")
    assert response.headers["www-authenticate"] == (
        f'Bearer realm="chatkeep", error="invalid_token", error_description="{problem["detail"]}"'
    )
    assert authorization.removeprefix("Bearer ") not in response.text


async def test_the_answer_says_when_a_token_has_expired(service: Service) -> None:
    response = await service.nobody().get(CONVERSATIONS, {"Authorization": token(expires_in=-60)})

    assert response.json()["detail"] == "The token has expired."


async def test_a_token_works_until_it_expires(service: Service) -> None:
    soon = {"Authorization": signed()}

    for _ in range(2):
        assert (await service.nobody().get("/v1/me", soon)).json()["user_id"] == "alice"


@pytest.mark.parametrize("user_id", ["Zoë 中 😀", "u" * 255, "a/b", "{}%s'\"", "auth0|1", " "])
async def test_a_user_may_have_any_name(service: Service, user_id: str) -> None:
    made = await started(service.user(user_id), title="mine")

    assert (await service.user(user_id).get("/v1/me")).json()["user_id"] == user_id
    assert (await service.key(acting_for=user_id).get(at(made))).json() == made


async def test_every_route_asks_who_is_calling(service: Service) -> None:
    """Generated from the routes, so that a new one is asked too."""
    paths = [route.path_format for route in service.app.routes if route.path.startswith("/v1/")]

    for path in paths:
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            response = await service.nobody().request(
                method, PARAMETER.sub(an_id(), path.replace("{number}", "0"))
            )
            if response.status_code != 405:
                refused(response, 401, "missing-credentials")

    assert len(paths) >= 7


async def test_a_service_acts_for_the_user_it_names(service: Service, alice: Caller) -> None:
    made = await started(service.key(acting_for=alice.user_id), says("Hello"))

    assert (await alice.get(at(made))).status_code == 200
    assert await listed(service.key(acting_for="somebody else"), CONVERSATIONS) == []


@pytest.mark.parametrize("path", ["/v1/me", CONVERSATIONS, at({"id": "0" * 32}, "messages")])
async def test_a_service_names_a_user_where_one_is_needed(service: Service, path: str) -> None:
    response = await service.key().get(path)

    assert "X-User-Id" in refused(response, 400, "invalid-request")["detail"]


async def test_a_service_names_no_user_to_manage_users(service: Service) -> None:
    assert (await service.key().put("/v1/users/erin")).status_code == 201
    assert (await service.key(acting_for="frank").delete("/v1/users/erin")).status_code == 204


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("", "X-User-Id is empty."),
        ("u" * 256, "X-User-Id has 256 characters; at most 255."),
        ("中" * 256, "X-User-Id has 256 characters; at most 255."),
        (b"caf\xe9", "X-User-Id is not UTF-8."),
        (b"\xed\xa0\x80", "X-User-Id is not UTF-8."),
    ],
)
async def test_what_names_no_user_is_refused(
    service: Service, value: str | bytes, why: str
) -> None:
    response = await service.nobody().get(
        "/v1/me", [("Authorization", BEARER), ("X-User-Id", value)]
    )

    assert refused(response, 400, "invalid-request")["detail"] == why


@pytest.mark.parametrize("user_id", ["中" * 255, "Zoë 😀", "a,b", "a b"])
async def test_names_are_utf_8_in_the_header(service: Service, user_id: str) -> None:
    response = await service.key(acting_for=user_id).get("/v1/me")

    assert response.json()["user_id"] == user_id


async def test_a_user_may_name_nobody_but_themselves(alice: Caller, bob: Caller) -> None:
    made = await started(alice)

    for path in ("/v1/me", CONVERSATIONS, at(made)):
        refused(await bob.get(path, {"X-User-Id": alice.user_id}), 403, "insufficient-scope")
        assert (await alice.get(path, {"X-User-Id": alice.user_id})).status_code == 200


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ([("Authorization", token("mallory")), ("Authorization", BEARER)], "Authorization"),
        ([("Authorization", token()), ("Authorization", token())], "Authorization"),
        (
            [("Authorization", BEARER), ("X-User-Id", "mallory"), ("X-User-Id", "alice")],
            "X-User-Id",
        ),
        ([("Authorization", token()), ("X-User-Id", "alice"), ("x-user-id", "alice")], "X-User-Id"),
    ],
)
async def test_a_header_that_is_sent_twice_is_refused(
    service: Service, headers: Headers, name: str
) -> None:
    response = await service.nobody().get("/v1/me", headers)

    problem = refused(response, 400, "invalid-request")
    assert problem["detail"] == f"Send only one {name} header."


async def test_issuer_and_audience_are_asked_for_when_set() -> None:
    wanted = settings(jwt_issuer="https://id.example", jwt_audience="chatkeep")
    async with serving(wanted) as service:
        nobody = service.nobody()
        right = {"iss": "https://id.example", "aud": "chatkeep"}

        assert (await nobody.get("/v1/me", {"Authorization": signed(**right)})).is_success
        for wrong in ({"iss": None}, {"aud": None}, {"iss": "other"}, {"aud": "other"}):
            response = await nobody.get("/v1/me", {"Authorization": signed(**right | wrong)})
            refused(response, 401, "invalid-token")


async def test_without_a_secret_only_service_keys_are_let_in() -> None:
    async with serving(settings(jwt_secret="")) as service:
        refused(await service.user("alice").get("/v1/me"), 401, "invalid-token")
        assert (await service.key(acting_for="alice").get("/v1/me")).is_success
