"""Bodies are decoded once, straight into what the handler takes."""

from typing import Any, Final

import msgspec
from litestar import Request
from litestar.datastructures import State

from entrypoints.http.authentication import Caller
from entrypoints.http.problems import ProblemError, invalid

_JSON_TYPES: Final = ("application/json", "+json")
_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}


class JsonRequest(Request[Caller, None, State]):
    """A request whose JSON is checked while it is decoded, so that errors name the field.

    Litestar's own decodes to dicts first, of any content type, and fails on bad UTF-8.
    """

    async def json(self) -> Any:  # noqa: ANN401 - Litestar's own
        self._check_content_type()
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
            raise ProblemError(422, "invalid-value", "The JSON is nested too deep.") from None
        except UnicodeDecodeError as error:
            raise ProblemError(
                400,
                "malformed-body",
                f"The body is not UTF-8: byte {error.object[error.start]:#x}.",
            ) from None
        except msgspec.DecodeError as error:
            raise ProblemError(400, "malformed-body", f"The body is not JSON: {error}.") from None

    def _check_content_type(self) -> None:
        given = self.headers.get("content-type")
        if given is None:
            return
        media_type = given.partition(";")[0].strip().lower()
        if not media_type.endswith(_JSON_TYPES):
            raise ProblemError(
                415,
                "unsupported-media-type",
                f"The body is {media_type or 'of no type'}; send it as application/json.",
            )
