"""Who is calling, by the headers of the request."""

import json
import logging
import time
from collections.abc import Callable

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

from chatkeep.domain.model import UserId
from chatkeep.entrypoints.http.auth.identity import Caller, Identity, IdentityError
from chatkeep.entrypoints.http.auth.jwks import Jwks
from chatkeep.entrypoints.http.auth.tokens import Claims, TokenVerifier, sign

SECRET = "a-secret-of-at-least-thirty-two-bytes"
SERVICE_KEY = "sk_one_0123456789abcdef0123456789"
OTHER_SERVICE_KEY = "sk_two_0123456789abcdef0123456789"
ALICE = Caller(UserId("alice"), service=False)


class Clock:
    """The real time, moved on by hand."""

    ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


def identity(
    *,
    tokens: TokenVerifier | None = None,
    cache_size: int = 10_000,
    clock: Callable[[], float] = time.time,
) -> Identity:
    verifier = tokens or TokenVerifier(secret=SECRET, keys=None, issuer=None, audience=None)
    return Identity(verifier, [SERVICE_KEY, OTHER_SERVICE_KEY], cache_size, clock)


def bearer(user_id: str = "alice", *, expires_in: float = 900) -> str:
    return f"Bearer {sign(SECRET, user_id, expires_in=expires_in)}"


async def refusal(
    authorization: str | None, acting_for: str | None = None, *, of: Identity | None = None
) -> IdentityError:
    with pytest.raises(IdentityError) as caught:
        await (of or identity()).identify(authorization, acting_for)
    error = caught.value
    assert error.detail.isascii()
    assert error.detail.isprintable()
    assert not set('"\\') & set(error.detail)
    return error


async def test_a_user_is_known_by_the_token() -> None:
    assert await identity().identify(bearer(), None) == ALICE


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
async def test_the_scheme_may_be_written_in_any_case(scheme: str) -> None:
    assert await identity().identify(bearer().replace("Bearer", scheme), None) == ALICE


async def test_more_spaces_than_one_are_no_obstacle() -> None:
    known = identity()
    assert await known.identify(f" {bearer().replace(' ', '   ')} ", None) == ALICE
    padded = f"Bearer   {SERVICE_KEY}"
    assert await known.identify(padded, "alice") == Caller(UserId("alice"), service=True)


@pytest.mark.parametrize(
    ("authorization", "reason"),
    [
        (None, "Send a token"),
        ("", "scheme"),
        (" ", "scheme"),
        ("Basic YWxpY2U6c2VjcmV0", "scheme"),
        ("Digest username=alice", "scheme"),
        (SERVICE_KEY, "scheme"),
        (f"Bearer{SERVICE_KEY}", "scheme"),
        (f"Bearer\t{SERVICE_KEY}", "scheme"),
        ("Bearer", "no token after"),
        ("Bearer ", "no token after"),
        ("bearer    ", "no token after"),
    ],
)
async def test_without_credentials_nobody_is_let_in(authorization: str | None, reason: str) -> None:
    for acting_for in None, "alice":
        error = await refusal(authorization, acting_for)
        assert (error.status, error.code) == (401, "missing_credentials")
        assert reason in error.detail


@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer garbage",
        "Bearer a.b.c",
        "Bearer null",
        "Bearer é.é.é",
        "Bearer \ud800",
        "Bearer " + "x" * 20_000,
        f"Bearer {SERVICE_KEY}x",
        f"Bearer {SERVICE_KEY[:-1]}",
        f"Bearer {SERVICE_KEY.upper()}",
        f"Bearer {SERVICE_KEY} {SERVICE_KEY}",
        f"Bearer {SERVICE_KEY},{OTHER_SERVICE_KEY}",
        bearer(expires_in=-60),
        f"{bearer()}, {bearer('bob')}",
    ],
)
async def test_credentials_that_prove_nothing_are_refused(authorization: str) -> None:
    for acting_for in None, "alice":
        error = await refusal(authorization, acting_for)
        assert (error.status, error.code) == (401, "invalid_token")


async def test_the_word_bearer_written_twice_is_called_by_its_name() -> None:
    error = await refusal(f"Bearer {bearer()}")
    assert (error.status, error.code) == (401, "invalid_token")
    assert "twice" in error.detail


async def test_a_user_may_name_only_themselves() -> None:
    known = identity()
    for _ in "first", "remembered":
        assert await known.identify(bearer(), "alice") == ALICE
        for other in "bob", "Alice", "alice ", "":
            error = await refusal(bearer(), other, of=known)
            assert (error.status, error.code) == (403, "insufficient_scope")


@pytest.mark.parametrize("key", [SERVICE_KEY, OTHER_SERVICE_KEY])
async def test_a_service_acts_for_the_user_it_names(key: str) -> None:
    known = identity()
    assert await known.identify(f"Bearer {key}", "bob") == Caller(UserId("bob"), service=True)
    assert await known.identify(f"Bearer {key}", None) == Caller(None, service=True)


@pytest.mark.parametrize(
    ("user_id", "reason"),
    [
        ("", "is empty"),
        ("x" * 256, "256 characters"),
        ("a\x00b", "NUL"),
        ("a\udcffb", "not Unicode"),
    ],
)
async def test_a_service_cannot_act_for_an_id_that_no_user_can_have(
    user_id: str, reason: str
) -> None:
    error = await refusal(f"Bearer {SERVICE_KEY}", user_id)
    assert (error.status, error.code) == (400, "invalid_request")
    assert error.detail.startswith("X-User-Id ")
    assert reason in error.detail


async def test_service_keys_alone_let_no_token_in() -> None:
    services_only = Identity(None, [SERVICE_KEY])
    error = await refusal(bearer(), of=services_only)
    assert (error.status, error.code) == (401, "invalid_token")
    assert (await services_only.identify(f"Bearer {SERVICE_KEY}", None)).service


@pytest.mark.parametrize("key", ["", " ", "with space", "tab\t", "schlüssel"])
def test_a_service_key_that_no_header_can_carry_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="visible ASCII"):
        Identity(None, [SERVICE_KEY, key])


async def test_a_verified_token_is_remembered_until_it_expires() -> None:
    clock = Clock()
    known = identity(clock=clock)
    authorization = bearer(expires_in=900)
    assert known.find_cached(authorization) is None
    await known.identify(authorization, None)
    assert known.find_cached(authorization) == ALICE
    clock.ahead = 895
    assert known.find_cached(authorization) == ALICE
    clock.ahead = 901
    assert known.find_cached(authorization) is None


async def test_a_remembered_token_is_not_verified_again() -> None:
    class Counting(TokenVerifier):
        verified = 0

        async def verify(self, token: str) -> Claims:
            self.verified += 1
            return await super().verify(token)

    tokens = Counting(secret=SECRET, keys=None, issuer=None, audience=None)
    known = identity(tokens=tokens)
    authorization = bearer()
    for _ in range(3):
        assert await known.identify(authorization, None) == ALICE
    assert tokens.verified == 1


async def test_only_the_exact_token_is_remembered() -> None:
    known = identity()
    authorization = bearer()
    await known.identify(authorization, None)
    for other in authorization[:-1], authorization + "A", authorization.lower(), "Bearer ", "":
        assert known.find_cached(other) is None


async def test_what_is_refused_or_of_a_service_is_not_remembered() -> None:
    known = identity()
    expired = bearer(expires_in=-60)
    await refusal(expired, of=known)
    await known.identify(f"Bearer {SERVICE_KEY}", "alice")
    assert known.find_cached(expired) is None
    assert known.find_cached(f"Bearer {SERVICE_KEY}") is None


async def test_a_token_in_its_time_of_grace_is_let_in_and_not_remembered() -> None:
    known = identity(cache_size=1)
    good, late = bearer("bob"), bearer(expires_in=-5)
    await known.identify(good, None)
    assert await known.identify(late, None) == ALICE
    assert known.find_cached(late) is None
    assert known.find_cached(good) is not None


async def test_a_padded_header_is_not_remembered() -> None:
    known = identity()
    authorization = bearer().replace(" ", "  ")
    assert await known.identify(authorization, None) == ALICE
    assert known.find_cached(authorization) is None


async def test_the_oldest_of_too_many_tokens_is_forgotten() -> None:
    known = identity(cache_size=3)
    headers = [bearer(f"user {number}") for number in range(5)]
    for authorization in headers:
        await known.identify(authorization, None)
    assert [known.find_cached(authorization) is not None for authorization in headers] == [
        False,
        False,
        True,
        True,
        True,
    ]


async def test_a_token_that_was_verified_again_is_no_longer_the_oldest() -> None:
    clock = Clock()

    class Brief(TokenVerifier):
        async def verify(self, token: str) -> Claims:
            return Claims(UserId(token), clock() + 900, clock() + 300)

    tokens = Brief(secret=SECRET, keys=None, issuer=None, audience=None)
    known = identity(tokens=tokens, cache_size=2, clock=clock)
    for token in "alice", "bob":
        await known.identify(f"Bearer {token}", None)
    clock.ahead = 301
    for token in "alice", "carol":
        await known.identify(f"Bearer {token}", None)
    assert known.find_cached("Bearer alice") == ALICE


async def test_with_a_cache_of_nothing_everything_is_verified() -> None:
    known = identity(cache_size=0)
    authorization = bearer()
    assert await known.identify(authorization, None) == ALICE
    assert known.find_cached(authorization) is None


async def test_withdrawing_a_published_key_ends_its_tokens() -> None:
    key = Ed25519PrivateKey.generate()
    public = OKPAlgorithm.to_jwk(key.public_key(), as_dict=True) | {"kid": "a"}
    successor = OKPAlgorithm.to_jwk(Ed25519PrivateKey.generate().public_key(), as_dict=True)
    published = [public]

    async def fetch(url: str) -> bytes:
        return json.dumps({"keys": published}).encode()

    clock = Clock()
    keys = Jwks("https://issuer.example/jwks", fetch=fetch, clock=clock, max_age=100)
    tokens = TokenVerifier(secret=None, keys=keys, issuer=None, audience=None)
    known = Identity(tokens, [], clock=clock)
    claims = {"sub": "alice", "exp": int(time.time()) + 86_400}
    token = jwt.encode(claims, key, algorithm="EdDSA", headers={"kid": "a"})
    authorization = f"Bearer {token}"

    assert await known.identify(authorization, None) == ALICE
    published[:] = [successor]
    clock.ahead = 290
    assert known.find_cached(authorization) == ALICE
    clock.ahead = 301
    error = await refusal(authorization, of=known)
    assert (error.status, error.code) == (401, "invalid_token")
    assert known.find_cached(authorization) is None


async def test_while_no_keys_can_be_had_the_caller_is_asked_to_come_back() -> None:
    async def fetch(url: str) -> bytes:
        raise TimeoutError

    keys = Jwks("https://issuer.example/jwks", fetch=fetch)
    tokens = TokenVerifier(secret=None, keys=keys, issuer=None, audience=None)
    token = jwt.encode({"sub": "alice"}, Ed25519PrivateKey.generate(), algorithm="EdDSA")
    error = await refusal(f"Bearer {token}", of=identity(tokens=tokens))
    assert (error.status, error.code, error.retry_after) == (503, "temporarily_unavailable", 5)


async def test_neither_errors_nor_logs_repeat_the_credentials(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    known = identity()
    secret_parts = ["WRONGWRONG", SERVICE_KEY, *bearer(expires_in=-60).split(" ")[1].split(".")]
    for authorization in (
        "Bearer WRONGWRONG",
        "Basic WRONGWRONG",
        "WRONGWRONG",
        bearer(expires_in=-60),
        f"Bearer {SERVICE_KEY}",
    ):
        error = await refusal(authorization, "", of=known)
        for part in secret_parts:
            assert part not in f"{error!r} {error.detail} {error.__cause__!r} {known!r}"
    await known.identify(bearer(), None)
    assert caplog.text == ""
