"""The keys of an issuer: which of them count, and when they are fetched."""

import asyncio
import json
from typing import Any

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    SECP384R1,
    EllipticCurve,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as rsa_key
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from chatkeep.entrypoints.http.auth import jwks
from chatkeep.entrypoints.http.auth.jwks import (
    Jwks,
    JwksUnavailableError,
    UnknownKeyError,
    parse_jwks,
)

URL = "https://issuer.example/.well-known/jwks.json"


def ed25519(**members: object) -> dict[str, Any]:
    return OKPAlgorithm.to_jwk(Ed25519PrivateKey.generate().public_key(), as_dict=True) | members


def rsa(bits: int = 2048, **members: object) -> dict[str, Any]:
    jwk = RSAAlgorithm.to_jwk(rsa_key(65537, bits).public_key(), as_dict=True)
    del jwk["key_ops"]
    return jwk | members


def ec(curve: EllipticCurve, **members: object) -> dict[str, Any]:
    return ECAlgorithm.to_jwk(generate_private_key(curve).public_key(), as_dict=True) | members


def key_set(*members: object) -> bytes:
    return json.dumps({"keys": members}).encode()


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Issuer:
    """Answers what it is told to, when it is told to, and counts how often it is asked."""

    def __init__(self, *members: object) -> None:
        self.body = key_set(*members)
        self.asked = 0
        self.down = False
        self.answering = asyncio.Event()
        self.answering.set()

    async def __call__(self, url: str) -> bytes:
        assert url == URL
        self.asked += 1
        await self.answering.wait()
        if self.down:
            raise ConnectionRefusedError
        return self.body


async def in_the_background() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def test_the_keys_are_fetched_when_first_needed_and_then_kept(clock: Clock) -> None:
    issuer = Issuer(ed25519(kid="a"), ed25519(kid="b"))
    keys = Jwks(URL, fetch=issuer, clock=clock)
    assert issuer.asked == 0
    assert (await keys.key("a", "EdDSA")).key_id == "a"
    assert (await keys.key("b", "EdDSA")).key_id == "b"
    assert issuer.asked == 1


async def test_each_algorithm_gets_keys_of_its_own_type_only(clock: Clock) -> None:
    members = rsa(kid="same"), ec(SECP256R1(), kid="same"), ed25519(kid="same")
    keys = Jwks(URL, fetch=Issuer(*members), clock=clock)
    for alg, kty in (
        ("RS256", "RSA"),
        ("ES256", "EC"),
        ("ESP256", "EC"),
        ("EdDSA", "OKP"),
        ("Ed25519", "OKP"),
    ):
        key = await keys.key("same", alg)
        assert (key.key_type, key.algorithm_name) == (kty, alg)


@pytest.mark.parametrize("published", [None, "EdDSA", "Ed25519"])
@pytest.mark.parametrize("asked", ["EdDSA", "Ed25519"])
async def test_the_fully_specified_names_of_algorithms_are_names_of_the_same(
    clock: Clock, published: str | None, asked: str
) -> None:
    keys = Jwks(URL, fetch=Issuer(ed25519(kid="a", alg=published)), clock=clock)
    key = await keys.key("a", asked)
    assert (key.key_id, key.algorithm_name) == ("a", asked)
    assert (await keys.key(None, asked)).key_id == "a"


async def test_a_key_without_a_name_fits_no_token_that_names_one(clock: Clock) -> None:
    keys = Jwks(URL, fetch=Issuer(ed25519()), clock=clock)
    assert (await keys.key(None, "EdDSA")).key_id is None
    with pytest.raises(UnknownKeyError, match="does not publish"):
        await keys.key("a", "EdDSA")


async def test_a_key_is_not_given_for_another_algorithm_than_its_own(clock: Clock) -> None:
    keys = Jwks(URL, fetch=Issuer(rsa(kid="a")), clock=clock)
    for alg in "HS256", "none", "RS512", "PS256", "ES256", "ESP256", "EdDSA", "Ed25519":
        with pytest.raises(UnknownKeyError):
            await keys.key("a", alg)


async def test_an_unsupported_algorithm_is_refused_without_a_fetch(clock: Clock) -> None:
    issuer = Issuer(rsa(kid="a"))
    with pytest.raises(UnknownKeyError, match="algorithm"):
        await Jwks(URL, fetch=issuer, clock=clock).key("a", "HS256")
    assert issuer.asked == 0


async def test_without_a_kid_the_only_key_of_the_algorithm_is_given(clock: Clock) -> None:
    keys = Jwks(URL, fetch=Issuer(ec(SECP256R1(), kid="e"), ed25519(kid="a")), clock=clock)
    assert (await keys.key(None, "EdDSA")).key_id == "a"


async def test_without_a_kid_none_of_several_keys_is_given(clock: Clock) -> None:
    keys = Jwks(URL, fetch=Issuer(ed25519(kid="a"), ed25519()), clock=clock)
    with pytest.raises(UnknownKeyError, match="does not name its key"):
        await keys.key(None, "EdDSA")


async def test_an_unknown_kid_has_the_keys_fetched_again(clock: Clock) -> None:
    issuer = Issuer(ed25519(kid="old"))
    keys = Jwks(URL, fetch=issuer, clock=clock)
    await keys.key("old", "EdDSA")
    issuer.body = key_set(ed25519(kid="new"))
    assert (await keys.key("new", "EdDSA")).key_id == "new"
    with pytest.raises(UnknownKeyError, match="does not publish"):
        await keys.key("old", "EdDSA")


@pytest.mark.parametrize("down", [False, True])
async def test_unknown_kids_cause_one_fetch_in_a_while_whatever_their_names(
    clock: Clock, *, down: bool
) -> None:
    issuer = Issuer(ed25519(kid="a"))
    keys = Jwks(URL, fetch=issuer, clock=clock, refetch_after=60)
    await keys.key("a", "EdDSA")
    issuer.down = down
    for number in range(10):
        with pytest.raises(UnknownKeyError):
            await keys.key(f"made up {number}", "EdDSA")
    assert issuer.asked == 2
    clock.now = 60
    with pytest.raises(UnknownKeyError):
        await keys.key("made up", "EdDSA")
    assert issuer.asked == 3


async def test_requests_at_the_same_time_share_one_fetch(clock: Clock) -> None:
    issuer = Issuer(ed25519(kid="a"))
    keys = Jwks(URL, fetch=issuer, clock=clock)
    found = await asyncio.gather(*(keys.key("a", "EdDSA") for _ in range(20)))
    assert {key.key_id for key in found} == {"a"}
    assert issuer.asked == 1
    issuer.body = key_set(ed25519(kid="b"))
    found = await asyncio.gather(*(keys.key("b", "EdDSA") for _ in range(20)))
    assert {key.key_id for key in found} == {"b"}
    assert issuer.asked == 2


async def test_a_request_that_goes_away_does_not_end_the_fetch_of_the_others(clock: Clock) -> None:
    issuer = Issuer(ed25519(kid="a"))
    issuer.answering.clear()
    keys = Jwks(URL, fetch=issuer, clock=clock)
    first, second = (asyncio.create_task(keys.key("a", "EdDSA")) for _ in range(2))
    await in_the_background()
    first.cancel()
    await in_the_background()
    issuer.answering.set()
    assert (await second).key_id == "a"
    assert first.cancelled()
    assert issuer.asked == 1


async def test_old_keys_answer_at_once_and_are_renewed_in_the_background(clock: Clock) -> None:
    issuer = Issuer(ed25519(kid="a"))
    keys = Jwks(URL, fetch=issuer, clock=clock, max_age=600)
    await keys.key("a", "EdDSA")
    clock.now = 600
    await keys.key("a", "EdDSA")
    await in_the_background()
    assert issuer.asked == 1

    clock.now = 601
    issuer.body = key_set(ed25519(kid="b"))
    issuer.answering.clear()
    assert (await keys.key("a", "EdDSA")).key_id == "a"
    issuer.answering.set()
    await in_the_background()
    assert (await keys.key("b", "EdDSA")).key_id == "b"
    assert issuer.asked == 2


async def test_a_key_withdrawn_in_an_idle_time_verifies_nothing_after_it(clock: Clock) -> None:
    issuer = Issuer(ed25519(kid="withdrawn"))
    keys = Jwks(URL, fetch=issuer, clock=clock, max_age=600)
    await keys.key("withdrawn", "EdDSA")
    issuer.body = key_set(ed25519(kid="b"))
    clock.now = 1201
    with pytest.raises(UnknownKeyError):
        await keys.key("withdrawn", "EdDSA")


async def test_while_the_issuer_is_down_the_keys_at_hand_go_on_being_used(clock: Clock) -> None:
    issuer = Issuer(ed25519(kid="a"))
    keys = Jwks(URL, fetch=issuer, clock=clock, refetch_after=60, max_age=600)
    await keys.key("a", "EdDSA")
    issuer.down = True
    for clock.now in 700, 710, 5000, 5010:
        assert (await keys.key("a", "EdDSA")).key_id == "a"
        await in_the_background()
    assert issuer.asked == 3


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"null", b"[]", b"{}", b'{"keys": {}}', b"\xff", b"[" * 50_000]
)
async def test_an_answer_that_is_no_key_set_counts_as_no_answer(clock: Clock, body: bytes) -> None:
    issuer = Issuer(ed25519(kid="a"))
    keys = Jwks(URL, fetch=issuer, clock=clock)
    await keys.key("a", "EdDSA")
    issuer.body = body
    with pytest.raises(UnknownKeyError):
        await keys.key("b", "EdDSA")
    assert issuer.asked == 2
    assert (await keys.key("a", "EdDSA")).key_id == "a"


async def test_without_any_keys_they_are_unavailable_and_tried_again_soon(clock: Clock) -> None:
    issuer = Issuer(ed25519(kid="a"))
    issuer.down = True
    keys = Jwks(URL, fetch=issuer, clock=clock, refetch_after=60)
    for _ in range(3):
        with pytest.raises(JwksUnavailableError):
            await keys.key("a", "EdDSA")
    assert issuer.asked == 1
    issuer.down = False
    clock.now = jwks.RETRY_SECONDS
    assert (await keys.key("a", "EdDSA")).key_id == "a"


async def test_a_set_without_usable_keys_withdraws_them_all(clock: Clock) -> None:
    issuer = Issuer(ed25519(kid="a"))
    keys = Jwks(URL, fetch=issuer, clock=clock)
    await keys.key("a", "EdDSA")
    issuer.body = key_set()
    clock.now = 1201
    with pytest.raises(JwksUnavailableError):
        await keys.key("a", "EdDSA")


@pytest.mark.parametrize(
    "broken",
    [
        None,
        "text",
        [],
        {},
        {"kty": ["RSA"], "alg": ["RS256"]},
        {"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA", "kid": "s"},
        {"kty": "RSA", "n": 5, "e": "AQAB"},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
        {"kty": "RSA", "n": "", "e": ""},
        {"kty": "RSA"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "A" * 43},
        {"kty": "EC", "crv": "P-256", "x": None, "y": "!"},
        {"kty": "OKP", "crv": "Ed25519", "x": "AAAA"},
        {"kty": "OKP", "crv": ["Ed25519"], "x": "AAAA"},
        {"kty": "OKP", "crv": "X25519", "x": "A" * 43},
        {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA"},
    ],
)
def test_a_broken_or_unsupported_member_is_skipped(broken: object) -> None:
    found = parse_jwks(key_set(broken, ed25519(kid="good"), broken))
    assert [key.key_id for key in found] == ["good"]


@pytest.mark.parametrize(
    "members",
    [
        {"alg": "ES256"},
        {"alg": "ESP256"},
        {"alg": "Ed448"},
        {"alg": ["EdDSA"]},
        {"use": "enc"},
        {"key_ops": ["sign"]},
        {"key_ops": "verify"},
        {"kid": 7},
    ],
)
def test_a_key_that_is_meant_for_something_else_is_skipped(members: dict[str, Any]) -> None:
    assert parse_jwks(key_set(ed25519() | members)) == ()


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"alg": "EdDSA"},
        {"alg": "Ed25519"},
        {"alg": None, "use": "sig"},
        {"key_ops": ["verify"]},
    ],
)
def test_a_key_that_says_little_or_the_right_thing_is_taken(members: dict[str, Any]) -> None:
    assert len(parse_jwks(key_set(ed25519() | members))) == 1


def test_other_curves_and_short_keys_are_skipped() -> None:
    ed448 = OKPAlgorithm.to_jwk(Ed448PrivateKey.generate().public_key(), as_dict=True)
    assert parse_jwks(key_set(ed448, ec(SECP384R1()), rsa(1024))) == ()


def test_a_key_that_this_machine_cannot_use_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(data: bytes) -> None:
        raise UnsupportedAlgorithm("not in this OpenSSL")

    members = key_set(ed25519(kid="a"), ec(SECP256R1(), kid="b"))
    monkeypatch.setattr("jwt.algorithms.Ed25519PublicKey.from_public_bytes", refuse)
    assert [key.key_id for key in parse_jwks(members)] == ["b"]


def test_a_private_key_is_skipped() -> None:
    published = OKPAlgorithm.to_jwk(Ed25519PrivateKey.generate(), as_dict=True)
    assert "d" in published
    assert parse_jwks(key_set(published)) == ()
