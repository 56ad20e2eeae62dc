"""`Idempotency-Key`: the same request with the same key is stored once."""

import json
from hashlib import sha256
from typing import Any, Final

from chatkeep.domain.items import MAX_KEY_CHARS
from chatkeep.domain.json_fields import stable_json
from chatkeep.domain.log import RequestKey
from chatkeep.domain.request_keys import HEADER, check_key
from chatkeep.entrypoints.http.body import JsonRequest

_NAME: Final = HEADER.lower().encode()
PARAMETER: Final[dict[str, Any]] = {
    "name": HEADER,
    "in": "header",
    "description": "your name for this request: sent again with it, the request is stored once",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_KEY_CHARS},
}
"""The header, for OpenAPI."""


async def read_key(request: JsonRequest) -> RequestKey | None:
    """Return the key of a request, with a digest of all that it asks for; None without a key.

    The digest is of the method, the path, the query and the body. How the JSON of the body is
    written does not matter. Raises `InvalidValueError` for a key that cannot be stored.
    """
    sent = request.find_header(_NAME)
    if sent is None:
        return None
    key = sent.decode("latin-1")
    check_key(key)
    body = await request.body()
    canonical = await request.convert(lambda: _canonical(body))
    scope = request.scope
    digest = sha256(scope["method"].encode())
    for part in (scope["path"].encode(), scope["query_string"], canonical):
        digest.update(b"\0" + part)
    return RequestKey(key, digest.hexdigest())


def _canonical(body: bytes) -> bytes:
    try:
        return stable_json(json.loads(body), sort_keys=True).encode()
    except (ValueError, RecursionError):  # no body, or one that Python reads differently
        return body
