"""Who is calling: an ordinary user by a token, or a trusted service by its key."""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.model import UserId, check_user_id
from chatkeep.entrypoints.http.auth.jwks import JwksUnavailableError
from chatkeep.entrypoints.http.auth.tokens import InvalidTokenError, TokenVerifier


class IdentityError(Exception):
    """The caller is not let in.

    `status` is 400, 401, 403, or 503 when tokens cannot be verified now; only then `retry_after`
    says in how many seconds to come back. `code` is an error code of RFC 6750 section 3.1 or, by
    the same pattern, `missing_credentials` and `temporarily_unavailable`. `detail` is a sentence
    for the caller: ASCII without quotes or backslashes, so that it fits `error_description`, and
    without anything of the credentials.
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
    """Who is calling, and whether with a service key. Only a service may be nobody (None)."""

    user_id: UserId | None
    service: bool


class Identity:
    """Tells who is calling from the headers of a request.

    `tokens` verifies the tokens of users; None lets none in. Each of `service_keys`, visible
    ASCII without spaces, lets a service in that acts for the user it names in `X-User-Id`.

    Verified tokens are remembered, in memory only and at most `cache_size` of them, until they
    expire, without leeway. One verified with a published key is verified again after 5 minutes,
    so that withdrawing a key ends its tokens that much after `Jwks` has noticed.

    `clock` gives seconds since 1970. Raises `ValueError` for a service key of another form.
    """

    def __init__(
        self,
        tokens: TokenVerifier | None,
        service_keys: Sequence[str],
        cache_size: int = 10_000,
        clock: Callable[[], float] = time.time,
    ) -> None:
        for key in service_keys:
            if not (key and key.isascii() and key.isprintable() and " " not in key):
                raise ValueError("a service key consists of visible ASCII characters, no spaces")
        self._tokens = tokens
        # Digests have one length, so that comparing them does not tell that of the keys.
        self._service_keys = [sha256(key.encode()).digest() for key in service_keys]
        self._cache_size = cache_size
        self._clock = clock
        self._verified: OrderedDict[str, tuple[Caller, float]] = OrderedDict()

    def cached(self, authorization: str) -> Caller | None:
        """Return the user whose token was verified before in this very header, if it still holds.

        It is the whole answer only for a request without `X-User-Id`; in all other cases, and
        for None, ask `caller`.
        """
        known = self._verified.get(authorization)
        if known is not None and known[1] > self._clock():
            return known[0]
        return None

    async def caller(self, authorization: str | None, acting_for: str | None) -> Caller:
        """Return who sends these values of `Authorization` and `X-User-Id` (None: not sent).

        A user may name nobody but themselves. Raises `IdentityError`.
        """
        if authorization is None:
            raise _no_credentials("Send a token: Authorization: Bearer <token>.")
        caller = self.cached(authorization)
        if caller is None:
            token = _bearer_token(authorization)
            if self._is_service_key(token):
                return _service(acting_for)
            caller = await self._verify(authorization, token)
        if acting_for is not None and acting_for != caller.user_id:
            raise IdentityError(
                "The token is of another user than X-User-Id names; only a service key acts for "
                "others.",
                code="insufficient_scope",
                status=403,
            )
        return caller

    def _is_service_key(self, token: str) -> bool:
        digest = sha256(token.encode(errors="surrogatepass")).digest()
        # All are compared, always: the time it takes tells nothing about which one was near.
        return sum([compare_digest(digest, key) for key in self._service_keys]) > 0

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
        caller = Caller(claims.user_id, service=False)
        # Padding must not let one token fill the cache, or the memory.
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
        raise _no_credentials("The scheme is not accepted here; use Authorization: Bearer <token>.")
    token = token.strip(" ")
    if not token:
        raise _no_credentials("There is no token after Bearer in the Authorization header.")
    if token.lower().startswith("bearer "):
        raise _invalid_token("The word Bearer stands twice in the Authorization header.")
    return token


def _service(acting_for: str | None) -> Caller:
    if acting_for is None:
        return Caller(None, service=True)
    try:
        acting_for.encode()
        return Caller(check_user_id(acting_for), service=True)
    except UnicodeEncodeError as error:
        raise _invalid_user_id("is not Unicode text") from error
    except InvalidValueError as error:
        raise _invalid_user_id(error.reason) from error


def _no_credentials(detail: str) -> IdentityError:
    return IdentityError(detail, code="missing_credentials", status=401)


def _invalid_token(detail: str) -> IdentityError:
    return IdentityError(detail, code="invalid_token", status=401)


def _invalid_user_id(reason: str) -> IdentityError:
    return IdentityError(f"X-User-Id {reason}.", code="invalid_request", status=400)
