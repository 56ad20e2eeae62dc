"""Identifies callers: users by their token, trusted services by their key."""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from hmac import compare_digest
from math import inf

from chatkeep.domain.audit import Operator, check_operator
from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.model import UserId, check_user_id
from chatkeep.entrypoints.http.auth.jwks import JwksUnavailableError
from chatkeep.entrypoints.http.auth.tokens import InvalidTokenError, TokenVerifier


class IdentityError(Exception):
    """The caller is refused.

    `status` is 400, 401, 403, or 503 if tokens cannot be verified now; only then is `retry_after`
    set, in seconds. `code` is an error code of RFC 6750 section 3.1 or, by the same pattern,
    `missing_credentials` or `temporarily_unavailable`. `detail` is a sentence for the caller: ASCII
    without quotes or backslashes, so that it fits `error_description`. It reveals no part of the
    credentials.
    """

    def __init__(
        self, detail: str, *, code: str, status: int, retry_after: int | None = None
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code
        self.status = status
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Caller:
    """An identified caller. `service` says whether it is a service, which may have no `user_id`.

    `expires_at` is when their token does, in seconds since 1970. `operator` is the name of the
    person for whom a service asks; what they ask for is in the audit.
    """

    user_id: UserId | None
    service: bool
    expires_at: float = field(default=inf, compare=False)
    operator: Operator | None = None


class Identity:
    """Identifies the caller of a request by its headers.

    `tokens` verifies the tokens of users; with None, no token is accepted. A service authenticates
    with one of `service_keys`, visible ASCII without spaces, and acts for the user in `X-User-Id`.
    So does an operator, with one of `operator_keys`, each with their name. `X-Operator` names the
    one for whom a service asks with another key.

    At most `cache_size` verified tokens are cached in memory until they expire, without leeway. A
    token verified with a published key is verified again after 5 minutes, so tokens of a withdrawn
    key are refused at most that long after `Jwks` has noticed.

    `clock` returns seconds since 1970. Raises `ValueError` for a malformed service key.
    """

    def __init__(
        self,
        tokens: TokenVerifier | None,
        service_keys: Sequence[str],
        cache_size: int = 10_000,
        clock: Callable[[], float] = time.time,
        *,
        operator_keys: Sequence[tuple[str, str]] = (),
    ) -> None:
        for key in (*service_keys, *(key for _, key in operator_keys)):
            if not (key and key.isascii() and key.isprintable() and " " not in key):
                raise ValueError("a service key consists of visible ASCII characters, no spaces")
        self._tokens = tokens
        # Digests all have the same length, so comparing them does not reveal the keys' lengths.
        self._service_keys = [sha256(key.encode()).digest() for key in service_keys]
        self._operator_keys = [
            (sha256(key.encode()).digest(), Operator(name)) for name, key in operator_keys
        ]
        self._cache_size = cache_size
        self._clock = clock
        self._verified: OrderedDict[str, tuple[Caller, float]] = OrderedDict()

    def find_cached(self, authorization: str) -> Caller | None:
        """Return the caller if this header's token was verified before and is still valid.

        Only for requests without `X-User-Id` and `X-Operator`. For all others, and after None,
        call `identify`.
        """
        known = self._verified.get(authorization)
        if known is not None and known[1] > self._clock():
            return known[0]
        return None

    async def identify(
        self, authorization: str | None, acting_for: str | None, operator: str | None = None
    ) -> Caller:
        """Return the caller with these headers (None: absent).

        They are `Authorization`, `X-User-Id` and `X-Operator`. A user may only name themselves,
        and no operator. Raises `IdentityError`.
        """
        if authorization is None:
            raise _missing_credentials("Send a token: Authorization: Bearer <token>.")
        caller = self.find_cached(authorization)
        if caller is None:
            token = _bearer_token(authorization)
            is_service, owner = self._find_key(token)
            if is_service:
                return _make_service(acting_for, _choose_operator(owner, operator))
            caller = await self._verify(authorization, token)
        if operator is not None:
            raise IdentityError(
                "Only a service key may name an operator in X-Operator.",
                code="insufficient_scope",
                status=403,
            )
        if acting_for is not None and acting_for != caller.user_id:
            raise IdentityError(
                "The token belongs to another user than X-User-Id; only a service key may act for "
                "others.",
                code="insufficient_scope",
                status=403,
            )
        return caller

    def _find_key(self, token: str) -> tuple[bool, Operator | None]:
        """Return whether this is a service key, and the operator whose it is."""
        digest = sha256(token.encode(errors="surrogatepass")).digest()
        # Always compare all keys, so that the time taken reveals nothing about a match.
        is_service = sum([compare_digest(digest, key) for key in self._service_keys]) > 0
        names = [name for key, name in self._operator_keys if compare_digest(digest, key)]
        return is_service or bool(names), names[0] if names else None

    async def _verify(self, authorization: str, token: str) -> Caller:
        if self._tokens is None:
            raise _invalid_token("This is not a service key, and tokens are not accepted here.")
        try:
            claims = await self._tokens.verify(token)
        except InvalidTokenError as error:
            raise _invalid_token(error.detail) from error
        except JwksUnavailableError as error:
            raise IdentityError(
                str(error),
                code="temporarily_unavailable",
                status=503,
                retry_after=error.retry_after,
            ) from error
        caller = Caller(claims.user_id, service=False, expires_at=claims.expires_at)
        # One token, padded in many ways, must not fill the cache.
        if len(authorization) == len("Bearer ") + len(token):
            self._remember(authorization, caller, claims.cache_until)
        return caller

    def _remember(self, authorization: str, caller: Caller, until: float) -> None:
        if until <= self._clock():
            return
        self._verified[authorization] = (caller, until)
        self._verified.move_to_end(authorization)
        if len(self._verified) > self._cache_size:
            self._verified.popitem(last=False)


def _bearer_token(authorization: str) -> str:
    scheme, _, token = authorization.strip(" \t").partition(" ")
    if scheme.lower() != "bearer":
        raise _missing_credentials(
            "This authentication scheme is not accepted; use Authorization: Bearer <token>."
        )
    token = token.strip(" ")
    if not token:
        raise _missing_credentials("There is no token after Bearer in the Authorization header.")
    if token.lower().startswith("bearer "):
        raise _invalid_token("The Authorization header contains the word Bearer twice.")
    return token


def _choose_operator(owner: Operator | None, named: str | None) -> Operator | None:
    """Return the operator of a request: the owner of the key, or else the one it names."""
    if owner is not None or named is None:
        return owner
    try:
        return check_operator(named)
    except InvalidValueError as error:
        raise IdentityError(
            f"X-Operator {error.reason}.", code="invalid_request", status=400
        ) from error


def _make_service(acting_for: str | None, operator: Operator | None) -> Caller:
    if acting_for is None:
        return Caller(None, service=True, operator=operator)
    try:
        acting_for.encode()
        return Caller(check_user_id(acting_for), service=True, operator=operator)
    except UnicodeEncodeError as error:
        raise _invalid_user_id("is not Unicode text") from error
    except InvalidValueError as error:
        raise _invalid_user_id(error.reason) from error


def _missing_credentials(detail: str) -> IdentityError:
    return IdentityError(detail, code="missing_credentials", status=401)


def _invalid_token(detail: str) -> IdentityError:
    return IdentityError(detail, code="invalid_token", status=401)


def _invalid_user_id(reason: str) -> IdentityError:
    return IdentityError(f"X-User-Id {reason}.", code="invalid_request", status=400)
