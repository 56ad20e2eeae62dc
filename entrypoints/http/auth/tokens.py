"""Verifies JSON Web Tokens (RFC 7519), and signs sample tokens."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import jwt
from jwt import exceptions as jwt_errors

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.model import UserId, check_user_id
from chatkeep.entrypoints.http.auth.jwks import KEY_TYPES, Jwks, UnknownKeyError
from chatkeep.entrypoints.settings import MIN_SECRET_BYTES

MAX_TOKEN_CHARS: Final = 16 * 1024
JWKS_TRUST_SECONDS: Final = 300.0
"""How long a verified token is trusted before it is verified again: its key may be withdrawn."""

_DETAILS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (jwt_errors.ExpiredSignatureError, "The token has expired."),
    (jwt_errors.ImmatureSignatureError, "The token is not valid yet."),
    (jwt_errors.InvalidSignatureError, "The signature of the token does not match."),
    (jwt_errors.InvalidAudienceError, "The token is meant for another audience."),
    (jwt_errors.InvalidIssuerError, "The token comes from another issuer."),
    (jwt_errors.InvalidSubjectError, "The sub claim of the token is not a string."),
)


class InvalidTokenError(Exception):
    """The token is invalid. `detail` may be shown to the caller: it quotes no part of the token."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of a verified token. Times are in seconds since 1970.

    Until `cache_until` the same token need not be verified again.
    """

    user_id: UserId
    expires_at: float
    cache_until: float


class TokenVerifier:
    """Verifies tokens signed with a shared `secret` (HS256) or with one of `keys` (`KEY_TYPES`).

    The algorithm in the token's header decides which of the two is used. A key verifies only its
    own algorithm, so a public key is never used as a secret. `issuer` and `audience` are checked
    if they are given. `exp` and `sub` are required, `nbf` and `iat` respected; all times allow
    `leeway` seconds for clocks that differ.

    Raises `ValueError` for a secret that is too short or is a key of another kind, and if there is
    neither a secret nor keys.
    """

    def __init__(
        self,
        *,
        secret: str | None,
        keys: Jwks | None,
        issuer: str | None,
        audience: str | None,
        leeway: float = 30,
    ) -> None:
        if secret is None and keys is None:
            raise ValueError("give a secret or keys to verify tokens with")
        self._secret = None if secret is None else _secret_bytes(secret)
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._leeway = leeway

    async def verify(self, token: str) -> Claims:
        """Return the claims of `token`, which must not have spaces around it.

        Raises `InvalidTokenError`, and `JwksUnavailableError` if there are no keys to verify it.
        """
        if len(token) > MAX_TOKEN_CHARS:
            raise InvalidTokenError(f"The token has more than {MAX_TOKEN_CHARS} characters.")
        if not token.isascii():
            raise InvalidTokenError("The token is malformed.")
        try:
            key, alg = await self._choose_key(jwt.get_unverified_header(token))
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[alg],
                audience=self._audience,
                issuer=self._issuer,
                leeway=self._leeway,
                options={
                    "require": ["exp", "sub"],
                    "verify_aud": self._audience is not None,
                    "verify_jti": False,
                },
            )
        except (jwt.PyJWTError, UnknownKeyError) as error:
            raise InvalidTokenError(_explain(error)) from error
        expires_at = _parse_expiry(claims["exp"])
        return Claims(
            user_id=_parse_subject(claims["sub"]),
            expires_at=expires_at,
            cache_until=(
                min(expires_at, time.time() + JWKS_TRUST_SECONDS)
                if isinstance(key, jwt.PyJWK)
                else expires_at
            ),
        )

    async def _choose_key(self, header: Mapping[str, Any]) -> tuple[bytes | jwt.PyJWK, str]:
        alg = header.get("alg")
        if alg == "HS256" and self._secret is not None:
            return self._secret, "HS256"
        if isinstance(alg, str) and alg in KEY_TYPES and self._keys is not None:
            key = await self._keys.key(header.get("kid"), alg)
            return key, key.algorithm_name
        accepted = (["HS256"] if self._secret is not None else []) + (
            list(KEY_TYPES) if self._keys is not None else []
        )
        raise InvalidTokenError(
            f"The token's algorithm is not accepted here; use {' or '.join(accepted)}."
        )


def sign(  # noqa: PLR0913 - one for each claim
    secret: str,
    user_id: str,
    *,
    expires_in: float,
    issuer: str | None = None,
    audience: str | None = None,
    now: float | None = None,
) -> str:
    """Return a token for `user_id` that expires in `expires_in` seconds, signed with HS256.

    Raises `ValueError` for a secret that `TokenVerifier` would refuse, and `InvalidValueError`
    for an invalid user id.
    """
    issued_at = time.time() if now is None else now
    claims: dict[str, str | int] = {
        "sub": check_user_id(user_id),
        "iat": int(issued_at),
        "exp": int(issued_at + expires_in),
    }
    if issuer is not None:
        claims["iss"] = issuer
    if audience is not None:
        claims["aud"] = audience
    return jwt.encode(claims, _secret_bytes(secret), algorithm="HS256")


def _secret_bytes(secret: str) -> bytes:
    encoded = secret.encode()
    if len(encoded) < MIN_SECRET_BYTES:
        raise ValueError(
            f"The token secret has {len(encoded)} bytes; it needs at least {MIN_SECRET_BYTES}. "
            'Make one with: python3 -c "import secrets; print(secrets.token_urlsafe(48))"'
        )
    try:
        # PyJWT refuses public keys and the like, but only at the first token.
        jwt.get_algorithm_by_name("HS256").prepare_key(encoded)
    except jwt.InvalidKeyError as error:
        raise ValueError(
            "The token secret is a public key or certificate. Configure public keys as a JWKS "
            "URL; a secret is any random text."
        ) from error
    return encoded


def _explain(error: Exception) -> str:
    if isinstance(error, UnknownKeyError):
        return str(error)
    if isinstance(error, jwt.MissingRequiredClaimError):
        return f"The token has no {error.claim} claim."
    return next(
        (detail for kind, detail in _DETAILS if isinstance(error, kind)), "The token is malformed."
    )


def _parse_expiry(exp: Any) -> float:  # noqa: ANN401 - a claim may be any JSON
    # PyJWT also accepts a string of digits; RFC 7519 requires a number.
    if not isinstance(exp, int | float):
        raise InvalidTokenError("The exp claim of the token is not a number.")
    try:
        return float(exp)
    except OverflowError as error:
        raise InvalidTokenError("The exp claim of the token is too large.") from error


def _parse_subject(sub: str) -> UserId:
    try:
        sub.encode()
        return check_user_id(sub)
    except UnicodeEncodeError as error:
        raise InvalidTokenError("The sub claim of the token is not Unicode text.") from error
    except InvalidValueError as error:
        raise InvalidTokenError(f"The sub claim of the token {error.reason}.") from error
