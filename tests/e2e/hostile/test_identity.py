"""Whom the running service lets in, with an identity provider that publishes keys."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable

import jwt
import pytest

from tests.e2e.hostile.issuer import AUDIENCE, ISSUER, Issuer, claims, forged, issuing
from tests.support.postgres import Server
from tests.support.processes import SECRET
from tests.support.service_process import SERVICE_KEY, ServiceProcess, as_service, running

LEEWAY = 30
OTHER_SECRET = "another-secret-of-at-least-thirty-two-bytes"
REVOKED_KEY = "sk_that_was_taken_out_0123456789abcdef"

Forgery = Callable[[Issuer], str]


@pytest.fixture(scope="module")
async def issuer() -> AsyncIterator[Issuer]:
    async with issuing() as issuer:
        yield issuer


def settings(database_url: str, issuer: Issuer, **others: str) -> dict[str, str]:
    return {
        "DATABASE_URL": database_url,
        "CHATKEEP_JWKS_URL": issuer.url,
        "CHATKEEP_JWT_ISSUER": ISSUER,
        "CHATKEEP_JWT_AUDIENCE": AUDIENCE,
        "CHATKEEP_SERVICE_KEYS": SERVICE_KEY,
    } | others


@pytest.fixture(scope="module")
async def guarded(postgres_server: Server, issuer: Issuer) -> AsyncIterator[ServiceProcess]:
    """Yield a service that believes both the provider and a shared secret."""
    async with (
        postgres_server.database() as url,
        running(**settings(url, issuer, CHATKEEP_JWT_SECRET=SECRET)) as service,
    ):
        yield service
        assert await service.end() == 0
        assert "Traceback" not in service.log


async def status(service: ServiceProcess, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    answer = await service.http.get("/v1/me", headers=headers)
    if answer.status_code == 401:
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]
        assert not any(part in answer.text for part in token.split(".") if len(part) > 5)
    return answer.status_code


@pytest.mark.parametrize(("kid", "alg"), [("rsa", "RS256"), ("ec", "ES256"), ("ed", "EdDSA")])
async def test_tokens_of_the_provider_are_believed(
    guarded: ServiceProcess, issuer: Issuer, kid: str, alg: str
) -> None:
    assert await status(guarded, issuer.sign(kid, alg)) == 200
    assert await status(guarded, issuer.sign(kid, alg, aud=["others", AUDIENCE])) == 200
    assert await status(guarded, issuer.sign(kid, alg, exp=int(time.time()) - LEEWAY // 2)) == 200


def tampered(issuer: Issuer) -> str:
    head, _, signature = issuer.sign("ec", "ES256").split(".")
    body = issuer.sign("ec", "ES256", sub="bob").split(".")[1]
    return f"{head}.{body}.{signature}"


FORGERIES: dict[str, Forgery] = {
    "no algorithm": lambda _: forged({"alg": "none"}, claims()),
    "no algorithm, in capitals": lambda _: forged({"alg": "NONE"}, claims()),
    "no algorithm, with a key's name": lambda _: forged({"alg": "none", "kid": "rsa"}, claims()),
    "the header names none": lambda _: forged({}, claims(), SECRET.encode()),
    "the public key as a secret": lambda issuer: forged(
        {"alg": "HS256", "kid": "rsa"}, claims(), issuer.public_pem("rsa")
    ),
    "the published document as a secret": lambda issuer: forged(
        {"alg": "HS256", "kid": "rsa"}, claims(), issuer.published()
    ),
    "the secret under the name of another algorithm": lambda _: forged(
        {"alg": "RS256", "kid": "rsa"}, claims(), SECRET.encode()
    ),
    "an empty secret": lambda _: forged({"alg": "HS256"}, claims(), b""),
    "another secret": lambda _: jwt.encode(claims(), OTHER_SECRET, algorithm="HS256"),
    "a longer hash with the secret": lambda _: jwt.encode(claims(), SECRET * 2, algorithm="HS512"),
    "another key's name": lambda issuer: issuer.sign("rsa", "RS256", header={"kid": "ec"}),
    "another algorithm of the key's": lambda issuer: issuer.sign("rsa", "PS256"),
    "a key that is too small": lambda issuer: issuer.sign("small", "RS256"),
    "a key of the token's own": lambda issuer: issuer.sign(
        "small", "RS256", header={"jwk": json.loads(issuer.published())["keys"][0]}
    ),
    "a place to fetch the key from": lambda issuer: issuer.sign(
        "small", "RS256", header={"jku": issuer.url, "x5u": issuer.url}
    ),
    "a path as the key's name": lambda issuer: issuer.sign(
        "rsa", "RS256", header={"kid": "../../../../dev/null"}
    ),
    "a statement as the key's name": lambda issuer: issuer.sign(
        "rsa", "RS256", header={"kid": "' OR 1=1 --"}
    ),
    "a critical extension": lambda issuer: issuer.sign("rsa", "RS256", header={"crit": ["x"]}),
    "the signature of another": tampered,
    "no signature": lambda issuer: issuer.sign("rsa", "RS256").rpartition(".")[0] + ".",
    "two parts": lambda issuer: issuer.sign("rsa", "RS256").rpartition(".")[0],
    "five parts": lambda issuer: issuer.sign("rsa", "RS256") + ".a.b",
    "expired": lambda issuer: issuer.sign("rsa", "RS256", exp=int(time.time()) - LEEWAY - 5),
    "expired, as a text": lambda issuer: issuer.sign("rsa", "RS256", exp="99999999999"),
    "no end": lambda issuer: issuer.sign("rsa", "RS256", exp=None),
    "an endless end": lambda _: forged({"alg": "HS256"}, claims(exp=float("inf")), SECRET.encode()),
    "not yet": lambda issuer: issuer.sign("rsa", "RS256", nbf=int(time.time()) + LEEWAY + 30),
    "of the future": lambda issuer: issuer.sign("rsa", "RS256", iat=int(time.time()) + 300),
    "another issuer": lambda issuer: issuer.sign("rsa", "RS256", iss="https://evil.example"),
    "an issuer with more behind": lambda issuer: issuer.sign("rsa", "RS256", iss=f"{ISSUER}/"),
    "no issuer": lambda issuer: issuer.sign("rsa", "RS256", iss=None),
    "another audience": lambda issuer: issuer.sign("rsa", "RS256", aud="others"),
    "no audience": lambda issuer: issuer.sign("rsa", "RS256", aud=None),
    "no subject": lambda issuer: issuer.sign("rsa", "RS256", sub=None),
    "an empty subject": lambda issuer: issuer.sign("rsa", "RS256", sub=""),
    "a subject of 256 characters": lambda issuer: issuer.sign("rsa", "RS256", sub="a" * 256),
    "a subject with NUL": lambda issuer: issuer.sign("rsa", "RS256", sub="a\x00b"),
    "a number as the subject": lambda _: forged({"alg": "HS256"}, claims(sub=1), SECRET.encode()),
    "half a surrogate pair as the subject": lambda _: forged(
        {"alg": "HS256"}, claims(sub="\ud800"), SECRET.encode()
    ),
    "a list of claims": lambda _: forged({"alg": "HS256"}, [claims()], SECRET.encode()),
    "nothing but dots": lambda _: "..",
    "a very long token": lambda issuer: issuer.sign("rsa", "RS256", padding="a" * 20_000),
}


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES.keys())
async def test_a_token_that_proves_nothing_lets_nobody_in(
    guarded: ServiceProcess, issuer: Issuer, forgery: Forgery
) -> None:
    assert await status(guarded, forgery(issuer)) == 401


async def test_a_subject_of_255_characters_is_a_user(
    guarded: ServiceProcess, issuer: Issuer
) -> None:
    token = issuer.sign("rsa", "RS256", sub="ä" * 255)
    usage = await guarded.call("GET", "/v1/me", headers={"Authorization": f"Bearer {token}"})
    assert usage["user_id"] == "ä" * 255


async def test_an_unknown_key_is_looked_up_once_a_minute_whoever_asks(
    postgres_server: Server,
) -> None:
    async with (
        issuing() as issuer,
        postgres_server.database() as url,
        running(**settings(url, issuer)) as service,
    ):
        assert issuer.fetched == 0
        assert await status(service, issuer.sign("rsa", "RS256")) == 200
        assert issuer.fetched == 1

        strangers = [
            issuer.sign("ec", "ES256", header={"kid": f"unknown {each}"}) for each in range(50)
        ]
        assert await asyncio.gather(*(status(service, token) for token in strangers)) == [401] * 50
        assert issuer.fetched == 2

        # The provider goes away: the keys at hand go on being used.
        issuer.away = True
        assert await status(service, issuer.sign("ed", "EdDSA")) == 200
        assert await status(service, strangers[0]) == 401
        assert issuer.fetched == 2


async def test_without_keys_nobody_can_be_told_from_anybody(postgres_server: Server) -> None:
    async with (
        issuing() as issuer,
        postgres_server.database() as url,
        running(**settings(url, issuer)) as service,
    ):
        issuer.away = True
        token = issuer.sign("rsa", "RS256")
        for _ in range(5):
            answer = await service.http.get("/v1/me", headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) >= 1
            assert answer.json()["type"] == "urn:chatkeep:problem:temporarily-unavailable"
        assert issuer.fetched == 1  # not once a request
        await service.call("GET", "/v1/me", headers=as_service("alice"))
        assert await status(service, forged({"alg": "none"}, claims())) == 401


async def test_a_key_that_was_taken_out_lets_nobody_in_after_the_restart(
    postgres_server: Server, issuer: Issuer
) -> None:
    async with postgres_server.database() as url:
        both = settings(url, issuer, CHATKEEP_SERVICE_KEYS=f"{REVOKED_KEY}, {SERVICE_KEY}")
        async with running(**both) as service:
            for key in (REVOKED_KEY, SERVICE_KEY):
                await service.call("GET", "/v1/me", headers=as_service("alice", key=key))
        async with running(**settings(url, issuer)) as service:
            await service.call("GET", "/v1/me", headers=as_service("alice"))
            revoked = as_service("alice", key=REVOKED_KEY)
            await service.call("GET", "/v1/me", headers=revoked, status=401)
            for near in (
                SERVICE_KEY[:-1],
                SERVICE_KEY + "x",
                SERVICE_KEY.upper(),
                f" {REVOKED_KEY}",
            ):
                await service.call("GET", "/v1/me", headers=as_service("a", key=near), status=401)


async def test_a_user_does_what_only_services_may_in_no_way(
    guarded: ServiceProcess, issuer: Issuer
) -> None:
    token = {"Authorization": f"Bearer {issuer.sign('rsa', 'RS256', sub='mallory')}"}
    for method in ("PUT", "DELETE"):
        await guarded.call(method, "/v1/users/alice", headers=token, status=403)
        await guarded.call(method, "/v1/users/mallory", headers=token, status=403)
    as_alice = token | {"X-User-Id": "alice"}
    await guarded.call("GET", "/v1/me", headers=as_alice, status=403)
    await guarded.call("POST", "/v1/conversations", {}, headers=as_alice, status=403)
    for claim in ({"role": "service"}, {"scope": "service"}, {"X-User-Id": "alice"}):
        more = {"Authorization": f"Bearer {issuer.sign('rsa', 'RS256', sub='mallory', **claim)}"}
        await guarded.call("PUT", "/v1/users/alice", headers=more, status=403)
    # A service acts for a user only where it names one.
    await guarded.call("GET", "/v1/me", headers=as_service(), status=400)
