"""Which tokens are believed: the right ones, and none of the known attacks."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.model import UserId
from chatkeep.entrypoints.http.auth.jwks import Jwks, JwksUnavailableError
from chatkeep.entrypoints.http.auth.tokens import (
    JWKS_TRUST_SECONDS,
    Claims,
    InvalidTokenError,
    TokenVerifier,
    sign,
)

SECRET = "a-secret-of-at-least-thirty-two-bytes"
OTHER_SECRET = "another-secret-of-thirty-two-bytes-or-more"


@cache
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@cache
def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@cache
def ed_key() -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.generate()


def published() -> Jwks:
    """Return the three public keys, each with a kid, one with its alg, as issuers do."""
    members: list[dict[str, Any]] = [
        RSAAlgorithm.to_jwk(rsa_key().public_key(), as_dict=True) | {"kid": "rsa", "use": "sig"},
        ECAlgorithm.to_jwk(ec_key().public_key(), as_dict=True) | {"kid": "ec"},
        OKPAlgorithm.to_jwk(ed_key().public_key(), as_dict=True) | {"kid": "ed", "alg": "EdDSA"},
    ]

    async def fetch(url: str) -> bytes:
        return json.dumps({"keys": members}).encode()

    return Jwks("https://issuer.example/jwks", fetch=fetch)


def verifier(
    *,
    secret: str | None = SECRET,
    keys: Jwks | None = None,
    issuer: str | None = None,
    audience: str | None = None,
) -> TokenVerifier:
    return TokenVerifier(secret=secret, keys=keys, issuer=issuer, audience=audience)


def by_keys(*, issuer: str | None = None, audience: str | None = None) -> TokenVerifier:
    return verifier(secret=None, keys=published(), issuer=issuer, audience=audience)


def claims(**changes: object) -> dict[str, Any]:
    """Return good claims with changes; a claim changed to None is left out."""
    merged = {"sub": "alice", "exp": int(time.time()) + 900} | changes
    return {name: value for name, value in merged.items() if value is not None}


def signed(**changes: object) -> str:
    return jwt.encode(claims(**changes), SECRET, algorithm="HS256")


def segment(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def forged(
    header: object, payload: object, key: bytes = SECRET.encode(), *, raw: bytes | None = None
) -> str:
    """Return a token signed with HMAC whatever it says, past the checks of a signing library."""
    content = json.dumps(payload).encode() if raw is None else raw
    signing_input = f"{segment(json.dumps(header).encode())}.{segment(content)}"
    signature = hmac.new(key, signing_input.encode(), hashlib.sha256).digest()
    return f"{signing_input}.{segment(signature)}"


async def refusal(of: TokenVerifier, token: str) -> str:
    """Return why the token is refused, having seen that the reason does not repeat it."""
    with pytest.raises(InvalidTokenError) as caught:
        await of.verify(token)
    detail = caught.value.detail
    assert not any(part in detail for part in token.split(".") if len(part) > 5)
    return detail


async def test_a_token_signed_with_the_secret_names_its_user_and_its_end() -> None:
    expires_at = int(time.time()) + 900
    token = signed(sub="alice", exp=expires_at)
    assert await verifier().verify(token) == Claims(UserId("alice"), expires_at, expires_at)


@pytest.mark.parametrize(
    ("kid", "alg", "key"), [("rsa", "RS256", rsa_key), ("ec", "ES256", ec_key)]
)
async def test_a_token_signed_with_a_published_key_is_believed(
    kid: str, alg: str, key: Callable[[], rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey]
) -> None:
    token = jwt.encode(claims(), key(), algorithm=alg, headers={"kid": kid})
    assert (await by_keys().verify(token)).user_id == "alice"


async def test_a_token_as_neon_auth_makes_it_is_believed() -> None:
    now = int(time.time())
    origin = "https://ep-cool-name-123456.neonauth.us-east-1.aws.neon.tech"
    token = jwt.encode(
        {
            "iat": now,
            "name": "Alice",
            "email": "alice@example.com",
            "emailVerified": True,
            "role": "authenticated",
            "id": "0191e1d0-2f6e-7a51-b7f0-3b1f5c4f8a11",
            "sub": "0191e1d0-2f6e-7a51-b7f0-3b1f5c4f8a11",
            "exp": now + 900,
            "iss": origin,
            "aud": origin,
        },
        ed_key(),
        algorithm="EdDSA",
        headers={"kid": "ed", "typ": None},
    )
    for of in by_keys(), by_keys(issuer=origin, audience=origin):
        assert (await of.verify(token)).user_id == "0191e1d0-2f6e-7a51-b7f0-3b1f5c4f8a11"


async def test_a_token_without_kid_is_tried_with_the_only_key_of_its_algorithm() -> None:
    token = jwt.encode(claims(), ed_key(), algorithm="EdDSA")
    assert (await by_keys().verify(token)).user_id == "alice"


@pytest.mark.parametrize(
    ("kid", "usual", "specified"), [("ed", "EdDSA", "Ed25519"), ("ec", "ES256", "ESP256")]
)
async def test_a_token_may_have_the_fully_specified_name_of_its_algorithm(
    kid: str, usual: str, specified: str
) -> None:
    body = segment(json.dumps(claims()).encode())
    header = segment(json.dumps({"alg": specified, "kid": kid}).encode())
    key = ed_key() if kid == "ed" else ec_key()
    sign = jwt.get_algorithm_by_name(usual).sign
    for of, told in ((f"{header}.{body}", "alice"), (f"{header}.{body}A", None)):
        token = f"{header}.{body}.{segment(sign(of.encode(), key))}"
        if told:
            assert (await by_keys().verify(token)).user_id == told
        else:
            assert "signature" in await refusal(by_keys(), token)


async def test_secret_and_keys_may_be_used_side_by_side() -> None:
    both = verifier(keys=published())
    by_key = jwt.encode(claims(sub="bob"), ec_key(), algorithm="ES256", headers={"kid": "ec"})
    assert (await both.verify(signed())).user_id == "alice"
    assert (await both.verify(by_key)).user_id == "bob"


async def test_what_a_published_key_signed_is_verified_again_before_it_expires() -> None:
    now = time.time()
    long_lived = jwt.encode(claims(exp=int(now) + 86_400), ed_key(), algorithm="EdDSA")
    found = await by_keys().verify(long_lived)
    assert found.expires_at == int(now) + 86_400
    assert found.cache_until == pytest.approx(now + JWKS_TRUST_SECONDS, abs=5)

    short_lived = jwt.encode(claims(exp=int(now) + 60), ed_key(), algorithm="EdDSA")
    assert (await by_keys().verify(short_lived)).cache_until == int(now) + 60


async def test_alg_none_is_refused() -> None:
    for of in verifier(), by_keys(), verifier(keys=published()):
        for alg in "none", "None", "NONE":
            token = forged({"alg": alg}, claims()).rpartition(".")[0] + "."
            assert "not accepted" in await refusal(of, token)


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
async def test_a_public_key_does_not_serve_as_a_secret(encoding: Encoding) -> None:
    public = rsa_key().public_key().public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)
    token = forged({"alg": "HS256", "kid": "rsa"}, claims(), public)
    assert "not accepted" in await refusal(by_keys(), token)
    assert "signature" in await refusal(verifier(keys=published()), token)


async def test_an_asymmetric_token_is_refused_where_only_a_secret_is_set() -> None:
    token = jwt.encode(claims(), rsa_key(), algorithm="RS256", headers={"kid": "rsa"})
    assert "use HS256." in await refusal(verifier(), token)


@pytest.mark.parametrize("alg", ["HS384", "HS512", "RS512", "PS256", "ES384", "", None, ["HS256"]])
async def test_any_other_algorithm_is_refused(alg: object) -> None:
    token = forged({"alg": alg, "kid": "rsa"}, claims())
    assert "not accepted" in await refusal(verifier(keys=published()), token)


async def test_a_header_without_algorithm_is_refused() -> None:
    assert "not accepted" in await refusal(verifier(), forged({"typ": "JWT"}, claims()))


async def test_an_algorithm_that_its_named_key_is_not_for_is_refused() -> None:
    token = jwt.encode(claims(), ed_key(), algorithm="EdDSA", headers={"kid": "rsa"})
    assert "does not publish" in await refusal(by_keys(), token)
    token = jwt.encode(claims(), rsa_key(), algorithm="RS512", headers={"kid": "rsa"})
    assert "not accepted" in await refusal(by_keys(), token)


async def test_a_signature_of_another_key_is_refused() -> None:
    token = jwt.encode(claims(), OTHER_SECRET, algorithm="HS256")
    assert "signature" in await refusal(verifier(), token)
    stranger = ed25519.Ed25519PrivateKey.generate()
    token = jwt.encode(claims(), stranger, algorithm="EdDSA", headers={"kid": "ed"})
    assert "signature" in await refusal(by_keys(), token)


@pytest.mark.parametrize(("kid", "alg"), [("rsa", "RS256"), ("ec", "ES256"), ("ed", "EdDSA")])
@pytest.mark.parametrize("signature", ["", "AAAA", segment(bytes(64)), segment(b"\xff" * 256)])
async def test_a_made_up_signature_is_refused(kid: str, alg: str, signature: str) -> None:
    token = forged({"alg": alg, "kid": kid}, claims()).rpartition(".")[0] + f".{signature}"
    assert "signature" in await refusal(by_keys(), token)


async def test_a_changed_claim_breaks_the_signature() -> None:
    header, _, signature = signed().split(".")
    token = f"{header}.{segment(json.dumps(claims(sub='bob')).encode())}.{signature}"
    assert "signature" in await refusal(verifier(), token)


async def test_an_unknown_kid_is_refused() -> None:
    token = jwt.encode(claims(), ed_key(), algorithm="EdDSA", headers={"kid": "stranger"})
    assert "does not publish" in await refusal(by_keys(), token)


@pytest.mark.parametrize(
    "header",
    [{"kid": 7}, {"kid": ["ed"]}, {"crit": ["x"], "x": 1}, {"crit": ["b64"], "b64": False}],
)
async def test_a_header_that_makes_no_sense_is_refused(header: dict[str, Any]) -> None:
    for of, alg in (verifier(), "HS256"), (by_keys(), "EdDSA"):
        assert "malformed" in await refusal(of, forged({"alg": alg} | header, claims()))


async def test_keys_inside_the_token_are_not_listened_to() -> None:
    stranger = ed25519.Ed25519PrivateKey.generate()
    own = OKPAlgorithm.to_jwk(stranger.public_key(), as_dict=True)
    header = {"kid": "ed", "jwk": own, "jku": "https://evil.example/jwks"}
    token = jwt.encode(claims(), stranger, algorithm="EdDSA", headers=header)
    assert "signature" in await refusal(by_keys(), token)


async def test_times_are_read_with_thirty_seconds_of_grace() -> None:
    now = int(time.time())
    assert "expired" in await refusal(verifier(), signed(exp=now - 40))
    assert "not valid yet" in await refusal(verifier(), signed(nbf=now + 40))
    assert "not valid yet" in await refusal(verifier(), signed(iat=now + 40))
    just_so = signed(exp=now - 20, nbf=now + 20, iat=now + 20)
    assert (await verifier().verify(just_so)).expires_at == now - 20


async def test_the_grace_is_a_setting() -> None:
    strict = TokenVerifier(secret=SECRET, keys=None, issuer=None, audience=None, leeway=0)
    assert "expired" in await refusal(strict, signed(exp=int(time.time()) - 2))


@pytest.mark.parametrize("missing", ["exp", "sub"])
async def test_a_token_without_end_or_user_is_refused(missing: str) -> None:
    assert f"no {missing} claim" in await refusal(verifier(), signed(**{missing: None}))
    null = forged({"alg": "HS256"}, claims() | {missing: None})
    assert f"no {missing} claim" in await refusal(verifier(), null)


@pytest.mark.parametrize("exp", ["soon", "9999999999", True, [], {}, float("inf"), float("nan")])
async def test_an_end_that_is_not_a_time_is_refused(exp: object) -> None:
    assert await refusal(verifier(), forged({"alg": "HS256"}, claims(exp=exp)))


async def test_an_end_too_large_for_a_clock_is_refused() -> None:
    token = forged({"alg": "HS256"}, claims(exp=10**400))
    assert "too large" in await refusal(verifier(), token)


async def test_an_end_with_a_fraction_is_understood() -> None:
    end = time.time() + 900.5
    assert (await verifier().verify(signed(exp=end))).expires_at == end


@pytest.mark.parametrize(
    ("sub", "reason"),
    [
        ("", "is empty"),
        ("x" * 256, "256 characters; at most 255"),
        ("a\x00b", "NUL"),
        ("a\ud800b", "not Unicode"),
        (7, "not a string"),
        (["alice"], "not a string"),
        ({"id": "alice"}, "not a string"),
        (True, "not a string"),
    ],
)
async def test_a_subject_that_can_be_no_user_is_refused(sub: object, reason: str) -> None:
    assert reason in await refusal(verifier(), forged({"alg": "HS256"}, claims(sub=sub)))


@pytest.mark.parametrize("sub", ["x" * 255, "é漢😀", " ", "auth0|5f7c", "alice@example.com"])
async def test_any_other_subject_is_taken_as_it_stands(sub: str) -> None:
    assert (await verifier().verify(signed(sub=sub))).user_id == sub


async def test_issuer_and_audience_are_checked_when_configured() -> None:
    strict = verifier(issuer="https://issuer.example", audience="chatkeep")
    good = {"iss": "https://issuer.example", "aud": "chatkeep"}
    assert (await strict.verify(signed(**good))).user_id == "alice"
    assert (await strict.verify(signed(**good | {"aud": ["x", "chatkeep"]}))).user_id == "alice"
    for changes, reason in (
        ({"iss": "https://evil.example"}, "another issuer"),
        ({"iss": "https://issuer.example/"}, "another issuer"),
        ({"iss": None}, "no iss claim"),
        ({"iss": ["https://issuer.example"]}, "another issuer"),
        ({"aud": "other"}, "another audience"),
        ({"aud": ["other"]}, "another audience"),
        ({"aud": {"chatkeep": 1}}, "another audience"),
        ({"aud": None}, "no aud claim"),
        ({"aud": []}, "no aud claim"),
    ):
        token = forged({"alg": "HS256"}, claims(**good | changes))
        assert reason in await refusal(strict, token)


async def test_issuer_and_audience_are_free_when_not_configured() -> None:
    token = signed(iss="https://any.example", aud=["any"])
    assert (await verifier().verify(token)).user_id == "alice"


async def test_a_token_id_of_any_form_is_nobodys_business() -> None:
    assert (await verifier().verify(signed(jti=7))).user_id == "alice"


async def test_an_oversized_token_is_refused_before_it_is_read() -> None:
    token = signed(padding="x" * 16_384)
    assert "more than 16384 characters" in await refusal(verifier(), token)
    assert (await verifier().verify(signed(padding="x" * 11_000))).user_id == "alice"


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "...",
        "garbage",
        "a.b",
        "a.b.c",
        "!!!.???.***",
        "e30.e30.e30.e30",
        "e30.e30.e30.e30.e30",
        "é.é.é",
        "\ud800.e30.e30",
        "\x00",
        "null",
        "undefined",
        forged([], {}),
        forged("HS256", {}),
        forged({"alg": "HS256"}, []),
        forged({"alg": "HS256"}, "alice"),
        forged({"alg": "HS256"}, None, raw=b"\xff\xfe\xff"),
        forged({"alg": "HS256"}, None, raw=b"[" * 10_000),
        forged({"alg": "HS256"}, None, raw=b""),
        segment(b"[" * 10_000) + ".e30.e30",
    ],
)
async def test_garbage_is_refused(token: str) -> None:
    detail = await refusal(verifier(keys=published()), token)
    assert "malformed" in detail or "not accepted" in detail


@pytest.mark.parametrize("change", ["{} ", " {}", "{}\n", "{}.e30", "{}.", ".{}"])
async def test_anything_around_a_good_token_is_refused(change: str) -> None:
    assert "malformed" in await refusal(verifier(), change.format(signed()))


async def test_without_keys_to_try_the_token_is_neither_good_nor_bad() -> None:
    async def fetch(url: str) -> bytes:
        raise ConnectionRefusedError

    unreachable = verifier(secret=None, keys=Jwks("https://issuer.example/jwks", fetch=fetch))
    with pytest.raises(JwksUnavailableError):
        await unreachable.verify(jwt.encode(claims(), ed_key(), algorithm="EdDSA"))


@pytest.mark.parametrize("secret", ["", "short", "x" * 31, "é" * 15])
def test_a_short_secret_is_refused_with_the_way_to_make_one(secret: str) -> None:
    with pytest.raises(ValueError, match=r"at least 32\. .*secrets\.token_urlsafe"):
        verifier(secret=secret)
    with pytest.raises(ValueError, match=r"at least 32\. .*secrets\.token_urlsafe"):
        sign(secret, "alice", expires_in=60)


def test_a_public_key_is_refused_as_a_secret() -> None:
    public = rsa_key().public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    for secret in pem, json.dumps(RSAAlgorithm.to_jwk(public, as_dict=True)):
        with pytest.raises(ValueError, match="JWKS URL"):
            verifier(secret=secret)


def test_a_verifier_has_something_to_verify_with() -> None:
    with pytest.raises(ValueError, match="give a secret or keys"):
        verifier(secret=None)


async def test_what_is_signed_here_is_believed_here() -> None:
    now = int(time.time())
    token = sign(SECRET, "é😀", expires_in=900, issuer="me", audience="you", now=now)
    found = await verifier(issuer="me", audience="you").verify(token)
    assert found.user_id == "é😀"
    assert found.expires_at == now + 900
    assert (await verifier().verify(sign(SECRET, "bob", expires_in=60))).user_id == "bob"
    assert "expired" in await refusal(verifier(), sign(SECRET, "alice", expires_in=-60))


def test_signing_says_no_more_than_it_was_told() -> None:
    token = sign(SECRET, "alice", expires_in=60, now=1000)
    assert jwt.decode(token, options={"verify_signature": False}) == {
        "sub": "alice",
        "iat": 1000,
        "exp": 1060,
    }


def test_nothing_is_signed_for_an_id_that_no_user_can_have() -> None:
    with pytest.raises(InvalidValueError, match="empty"):
        sign(SECRET, "", expires_in=60)
