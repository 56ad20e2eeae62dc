"""The public keys of a token issuer: its JSON Web Key Set (RFC 7517), fetched and cached."""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from copy import copy
from math import inf
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from chatkeep.entrypoints.http.auth.fetch import check_url, fetch_url

KEY_TYPES: Final[Mapping[str, tuple[str, str | None]]] = {
    "RS256": ("RSA", None),
    "ES256": ("EC", "P-256"),
    "ESP256": ("EC", "P-256"),
    "EdDSA": ("OKP", "Ed25519"),
    "Ed25519": ("OKP", "Ed25519"),
}
"""The algorithms that keys of a set may use, and the `kty` and `crv` that each requires.

Two names with the same type and curve mean one algorithm: the first is PyJWT's, the second that of
RFC 9864. A key or a token may use either.
"""

RETRY_SECONDS: Final = 5.0
"""The pause after a failed fetch while there are no keys, so that every token is refused."""

_log = logging.getLogger(__name__)


class UnknownKeyError(Exception):
    """The set has no key for the token. The message may be shown to the caller."""


class JwksUnavailableError(Exception):
    """There are no keys to verify tokens with. Retry after `retry_after` seconds."""

    def __init__(self) -> None:
        super().__init__("The keys for verifying tokens cannot be fetched now.")
        self.retry_after = int(RETRY_SECONDS)


def parse_jwks(body: bytes) -> tuple[PyJWK, ...]:
    """Return the keys of a set that can verify tokens here.

    Leaves out malformed members, other types and algorithms, RSA keys under 2048 bits, keys for
    encryption, and secret or private keys, which do not belong in a published set.
    Raises `ValueError` if `body` is not a key set.
    """
    try:
        members = json.loads(body)["keys"]
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise ValueError("the response is not a JSON Web Key Set") from error
    if not isinstance(members, list):
        raise ValueError("the response is not a JSON Web Key Set")  # noqa: TRY004 - input, not a bug
    return tuple(key for key in map(_usable_key, members) if key is not None)


def _usable_key(member: Any) -> PyJWK | None:  # noqa: ANN401 - a set may contain any JSON
    if not isinstance(member, dict):
        return None
    kty, crv, operations = member.get("kty"), member.get("crv"), member.get("key_ops", ["verify"])
    algs = [name for name, needs in KEY_TYPES.items() if needs in ((kty, None), (kty, crv))]
    if (
        not algs
        or member.get("alg") not in (None, *algs)
        or member.get("use") not in (None, "sig")
        or not (isinstance(operations, list) and "verify" in operations)
        or not isinstance(member.get("kid"), str | None)
        or "d" in member
    ):
        return None
    try:
        key = PyJWK(member, algs[0])
        too_short = key.Algorithm.check_key_length(key.key)
    except (PyJWTError, UnsupportedAlgorithm):  # the latter: Ed25519 under FIPS
        return None
    return None if too_short else key


def _rename_algorithm(alg: str, key: PyJWK) -> PyJWK:
    """Return the key with the token's name for its algorithm, since PyJWT compares the names."""
    if key.algorithm_name == alg:
        return key
    renamed = copy(key)
    renamed.algorithm_name = alg
    return renamed


class Jwks:
    """The keys that an issuer publishes at `url`.

    They are fetched when they are first needed. A request that finds them older than `max_age`
    seconds starts a new fetch in the background; if they are older than twice that, it waits for
    the fetch. A token with an unknown key also causes a fetch, at most one every `refetch_after`
    seconds in all. Concurrent requests share one fetch.

    A fetch replaces the whole set. If it fails, the old keys stay in use and are fetched again
    after `refetch_after` seconds. If there are none, the next fetch is after `RETRY_SECONDS`.

    `fetch` raises `OSError` or `ValueError` if it fails. `clock` returns monotonic seconds.
    Raises `ValueError` for a `url` that is neither http nor https.
    """

    def __init__(
        self,
        url: str,
        *,
        fetch: Callable[[str], Awaitable[bytes]] = fetch_url,
        clock: Callable[[], float] = time.monotonic,
        refetch_after: float = 60,
        max_age: float = 600,
    ) -> None:
        check_url(url)
        self._url = url
        self._fetch = fetch
        self._clock = clock
        self._refetch_after = refetch_after
        self._max_age = max_age
        self._keys: tuple[PyJWK, ...] = ()
        self._fetched_at = -inf
        self._tried_at = -inf
        self._unknown_at = -inf
        self._fetching: asyncio.Task[None] | None = None

    async def key(self, kid: str | None, alg: str) -> PyJWK:
        """Return the key named `kid` for `alg`; if `kid` is None, the only key for `alg`.

        A key published without a name does not match a token that names one, as in PyJWT, jose and
        Nimbus. Raises `UnknownKeyError`, and `JwksUnavailableError` if there are no keys at all.
        """
        if alg not in KEY_TYPES:
            raise UnknownKeyError("The token's algorithm is not accepted here.")
        await self._keep_fresh()
        found = self._find(kid, alg)
        if found is None and self._keys and self._may_fetch(self._unknown_at, self._refetch_after):
            if self._fetching is None:
                self._unknown_at = self._clock()
            await asyncio.shield(self._fetch_once())
            found = self._find(kid, alg)
        if not self._keys:
            raise JwksUnavailableError
        if found is None:
            raise UnknownKeyError(
                "The token is signed with a key that its issuer does not publish."
                if kid is not None
                else "The token does not name its key, and more or less than one key matches it."
            )
        return found

    def _find(self, kid: str | None, alg: str) -> PyJWK | None:
        fitting = [key for key in self._keys if KEY_TYPES[key.algorithm_name] == KEY_TYPES[alg]]
        if kid is not None:
            fitting = [key for key in fitting if key.key_id == kid][:1]
        return _rename_algorithm(alg, fitting[0]) if len(fitting) == 1 else None

    async def _keep_fresh(self) -> None:
        if not self._keys:
            if self._may_fetch(self._tried_at, min(RETRY_SECONDS, self._refetch_after)):
                await asyncio.shield(self._fetch_once())
            return
        age = self._clock() - self._fetched_at
        if age > self._max_age and self._may_fetch(self._tried_at, self._refetch_after):
            fetch = self._fetch_once()
            # Otherwise a withdrawn key would be accepted in the first request after a long pause.
            if age > 2 * self._max_age:
                await asyncio.shield(fetch)

    def _may_fetch(self, last: float, pause: float) -> bool:
        """Return whether a fetch is under way, to be shared, or `last` is `pause` seconds ago."""
        return self._fetching is not None or self._clock() - last >= pause

    def _fetch_once(self) -> asyncio.Task[None]:
        # Callers shield it while they wait: cancelling one must not cancel it for the others.
        if self._fetching is None:
            self._tried_at = self._clock()
            self._fetching = asyncio.create_task(self._replace_keys())
        return self._fetching

    async def _replace_keys(self) -> None:
        try:
            self._keys = parse_jwks(await self._fetch(self._url))
            self._fetched_at = self._clock()
            if not self._keys:
                _log.warning("%s publishes no key that can verify tokens", self._url)
        except (OSError, ValueError) as error:
            _log.warning("fetching the keys at %s failed: %r", self._url, error)
        finally:
            self._fetching = None
