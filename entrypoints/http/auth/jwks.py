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
"""The algorithms a key of a set may verify with, and the `kty` and `crv` each one demands.

Those of one type and curve are one algorithm under two names, the latter of RFC 9864: a key or a
token may have either. The first is PyJWT's.
"""

RETRY_SECONDS: Final = 5.0
"""The pause after a failed fetch while there are no keys, and so every token is refused."""

_log = logging.getLogger(__name__)


class UnknownKeyError(Exception):
    """No key of the set fits the token. The message is fit to show the caller."""


class JwksUnavailableError(Exception):
    """There is no key to verify with; trying again after `retry_after` seconds may help."""

    def __init__(self) -> None:
        super().__init__("The keys that tokens are verified with cannot be fetched now.")
        self.retry_after = int(RETRY_SECONDS)


def parse_jwks(body: bytes) -> tuple[PyJWK, ...]:
    """Return the keys of a set that can verify tokens here, leaving out all others.

    Left out are broken members, other types and algorithms, RSA keys under 2048 bits, keys meant
    for encryption, and secret or private keys, which do not belong into a published set.
    Raises `ValueError` when `body` is no key set.
    """
    try:
        members = json.loads(body)["keys"]
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise ValueError("the answer is not a JSON Web Key Set") from error
    if not isinstance(members, list):
        raise ValueError("the answer is not a JSON Web Key Set")  # noqa: TRY004 - input, not a bug
    return tuple(key for key in map(_usable_key, members) if key is not None)


def _usable_key(member: Any) -> PyJWK | None:  # noqa: ANN401 - any JSON may stand in a set
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


def _under(alg: str, key: PyJWK) -> PyJWK:
    """Return the key under the name that a token has for its algorithm; PyJWT compares them."""
    if key.algorithm_name == alg:
        return key
    renamed = copy(key)
    renamed.algorithm_name = alg
    return renamed


class Jwks:
    """The keys that an issuer publishes at `url`.

    They are fetched when first needed. After `max_age` seconds they are fetched again beside the
    request that finds them old, and after twice that before it is answered. A key that is not
    among them makes them be fetched again too, at most once in `refetch_after` seconds whoever
    asks. Requests at the same time share one fetch. What was fetched replaces the whole set; when
    a fetch fails, the keys at hand go on being used, and old ones cause the next one after
    `refetch_after` seconds. While there are none it is after `RETRY_SECONDS`.

    `fetch` raises `OSError` or `ValueError` when it fails. `clock` counts seconds from anywhere.
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
        """Return the key named `kid` that verifies `alg`; without a name, the only one that does.

        A key that is published without a name fits no token that names one, as in PyJWT, jose and
        Nimbus. Raises `UnknownKeyError`, and `JwksUnavailableError` when there are no keys at all.
        """
        if alg not in KEY_TYPES:
            raise UnknownKeyError("The token is signed with an algorithm that has no keys here.")
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
                else "The token does not name its key, and not exactly one key fits it."
            )
        return found

    def _find(self, kid: str | None, alg: str) -> PyJWK | None:
        fitting = [key for key in self._keys if KEY_TYPES[key.algorithm_name] == KEY_TYPES[alg]]
        if kid is not None:
            fitting = [key for key in fitting if key.key_id == kid][:1]
        return _under(alg, fitting[0]) if len(fitting) == 1 else None

    async def _keep_fresh(self) -> None:
        if not self._keys:
            if self._may_fetch(self._tried_at, min(RETRY_SECONDS, self._refetch_after)):
                await asyncio.shield(self._fetch_once())
            return
        age = self._clock() - self._fetched_at
        if age > self._max_age and self._may_fetch(self._tried_at, self._refetch_after):
            fetch = self._fetch_once()
            # Else the first request after a long idle time would be let in by a withdrawn key.
            if age > 2 * self._max_age:
                await asyncio.shield(fetch)

    def _may_fetch(self, last: float, pause: float) -> bool:
        """Whether a fetch is under way, to be shared, or `pause` has passed since `last`."""
        return self._fetching is not None or self._clock() - last >= pause

    def _fetch_once(self) -> asyncio.Task[None]:
        # Callers wait for it shielded: one that is cancelled must not take it from the others.
        if self._fetching is None:
            self._tried_at = self._clock()
            self._fetching = asyncio.create_task(self._replace_keys())
        return self._fetching

    async def _replace_keys(self) -> None:
        try:
            self._keys = parse_jwks(await self._fetch(self._url))
            self._fetched_at = self._clock()
            if not self._keys:
                _log.warning("%s publishes no key that tokens can be verified with", self._url)
        except (OSError, ValueError) as error:
            _log.warning("fetching the keys at %s failed: %r", self._url, error)
        finally:
            self._fetching = None
