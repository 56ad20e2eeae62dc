"""Request bodies, decoded once and straight into the type that the handler takes."""

import asyncio
import json
import math
import re
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Final, TypeVar

import msgspec
from litestar import Request
from litestar.datastructures import State
from litestar.exceptions import ClientException
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from litestar.types import Empty

from chatkeep.domain.json_fields import is_unicode
from chatkeep.domain.threads import SMALL, run_aside
from chatkeep.entrypoints.http.auth.authentication import Caller
from chatkeep.entrypoints.http.middleware.memory import SMALL_BYTES, reserve_memory
from chatkeep.entrypoints.http.problems import (
    MAX_FIELDS,
    FieldError,
    ProblemError,
    invalid,
    invalid_fields,
)
from chatkeep.entrypoints.http.validation import shorten

_T = TypeVar("_T")

BODY_TIMEOUT_SECONDS: Final = 30.0
"""Time allowed to receive a body: a client that trickles one would occupy a place for ever."""

_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}
_ESCAPE: Final = re.compile(
    rb"\\(?:u(?:(?P<high>d[89ab][0-9a-f]{2})|(?P<low>d[c-f][0-9a-f]{2}))|.)",
    re.DOTALL | re.IGNORECASE,
)
# msgspec's message for a body that stops in the middle.
_TRUNCATED: Final = "Input data was truncated"
_JSON: Final = b"application/json"


class JsonRequest(Request[Caller, None, State]):
    """A request that validates its JSON while decoding it, so that errors name the field.

    Litestar's own request decodes to dicts first, accepts any content type, and fails on bad UTF-8.
    """

    async def body(self) -> bytes:
        if self._body is Empty:
            try:
                async with asyncio.timeout(BODY_TIMEOUT_SECONDS):
                    self._body = await self._read()
            except TimeoutError:
                raise ProblemError(
                    408,
                    "too-slow",
                    f"The body was not complete after {BODY_TIMEOUT_SECONDS:.0f} seconds.",
                    headers={"Connection": "close"},
                ) from None
        return self._body

    async def _read(self) -> bytes:
        """Return the body. Most arrive in one piece, which is not copied."""
        limit = self.route_handler.resolve_request_max_body_size() or math.inf
        announced = self.find_header(b"content-length")
        if announced is not None:
            if not announced.isdigit():
                raise ClientException("Content-Length is not a number")
            if int(announced) > limit:
                raise RequestEntityTooLarge
        parts = []
        size = 0
        while True:
            event: Any = await self.receive()
            if event["type"] == "http.disconnect":
                # The client does not read the response, but the log must not blame the service.
                raise _malformed("The client disconnected before the end of the body.")
            parts.append(event["body"])
            size += len(event["body"])
            if size > limit:
                raise RequestEntityTooLarge
            if size > SMALL_BYTES:
                reserve_memory(self.scope, len(event["body"]))
            if not event.get("more_body", False):
                return b"".join(parts) if len(parts) > 1 else parts[0]

    async def json(self) -> Any:  # noqa: ANN401 - Litestar's own
        self._check_content_type()
        self._check_content_encoding()
        body = await self.body()
        annotation = self.route_handler.parsed_fn_signature.parameters["data"].annotation
        decoder = _decoders.get(annotation)
        if decoder is None:
            decoder = _decoders[annotation] = msgspec.json.Decoder(annotation)
        try:
            return decoder.decode(body)
        except msgspec.ValidationError as error:
            raise invalid(error) from None
        except RecursionError:
            raise _nested_too_deep() from None
        except UnicodeDecodeError as error:
            raise _not_utf8(error) from None
        except msgspec.DecodeError as error:
            message = str(error)
            raise await run_aside(len(body), lambda: _explain_invalid(body, message)) from None

    async def convert(self, work: Callable[[], _T]) -> _T:
        """Return the result of `work`, which runs in a thread if the body is large.

        So a large body does not delay other requests.
        """
        try:
            return await run_aside(len(await self.body()), work)
        except UnicodeDecodeError as error:
            raise _not_utf8(error) from None

    def find_header(self, name: bytes) -> bytes | None:
        """Return a header without building a mapping of all headers."""
        for each, value in self.scope["headers"]:
            if each == name:
                return value
        return None

    def _check_content_type(self) -> None:
        content_type = self.find_header(b"content-type")
        if content_type is None or content_type == _JSON:
            return
        media_type = content_type.decode("latin-1").partition(";")[0].strip().lower()
        if media_type != "application/json" and not media_type.endswith("+json"):
            raise ProblemError(
                415,
                "unsupported-media-type",
                f"The body is {shorten(media_type) or 'of no type'}; send it as application/json.",
            )

    def _check_content_encoding(self) -> None:
        value = self.find_header(b"content-encoding")
        if value is None:
            return
        encoding = value.decode("latin-1").strip()
        if encoding.lower() not in {"", "identity"}:
            raise ProblemError(
                415,
                "unsupported-content-encoding",
                f"The body is encoded (Content-Encoding: {shorten(encoding)}); send plain JSON, "
                "without Content-Encoding.",
                headers={"Accept-Encoding": "identity"},  # RFC 9110, section 15.5.16
            )


def _explain_invalid(body: bytes, message: str) -> ProblemError:
    """Return the problem with a body: not JSON, or JSON with text that is not Unicode."""
    fields = []
    if len(body) > SMALL:  # finding the field would delay other requests
        fields = ["body"] if _has_lone_surrogate(body) else []
    else:
        try:
            fields = list(islice(_lone_surrogates(json.loads(body.decode()), ""), MAX_FIELDS))
        except RecursionError:
            return _nested_too_deep()
        except ValueError:
            pass
    if fields:
        reason = "contains an unpaired surrogate"
        return invalid_fields([FieldError(field=each or "body", detail=reason) for each in fields])
    reason = "it ends too early" if message == _TRUNCATED else message
    return _malformed(f"The body is not JSON: {reason.removeprefix('JSON is malformed: ')}.")


def _has_lone_surrogate(body: bytes) -> bool:
    """Return whether an escape is one half of a surrogate pair without its other half."""
    high_ended = None
    for escape in _ESCAPE.finditer(body):
        is_low = escape["low"] is not None
        is_pair = is_low and high_ended == escape.start()
        if not is_pair and (is_low or high_ended is not None):
            return True
        high_ended = escape.end() if escape["high"] is not None else None
    return high_ended is not None


def _lone_surrogates(value: object, field: str) -> Iterator[str]:
    """Yield the paths of texts with a surrogate: JSON can write them, UTF-8 cannot."""
    if isinstance(value, str) and not is_unicode(value):
        yield field
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _lone_surrogates(each, f"{field}[{index}]")
    elif isinstance(value, dict):
        for key, each in value.items():
            if is_unicode(key):
                yield from _lone_surrogates(each, f"{field}.{key}" if field else key)
            else:
                yield field


def _not_utf8(error: UnicodeDecodeError) -> ProblemError:
    byte = error.object[error.start]
    return _malformed(f"The body is not UTF-8: it contains the byte {byte:#x}.")


def _malformed(detail: str) -> ProblemError:
    return ProblemError(400, "malformed-body", detail)


def _nested_too_deep() -> ProblemError:
    return invalid_fields([FieldError(field="body", detail="is nested too deeply")])
