"""The errors of the OpenAPI document: one shared answer for each status."""

from typing import Any, Final

import msgspec

from chatkeep.entrypoints.http.openapi.examples import PROBLEMS
from chatkeep.entrypoints.http.openapi.schemas import REFERENCE
from chatkeep.entrypoints.http.problems import PROBLEM_JSON

ERRORS: Final = {
    "400": ("Malformed", "The request cannot be read."),
    "401": ("Unidentified", "The token or service key is missing or invalid."),
    "403": ("Forbidden", "The caller may not do this."),
    "404": ("NotFound", "It does not exist, or belongs to another user: the two look the same."),
    "409": (
        "Conflict",
        "The id is in use, a hold forbids the change, or things are not as the request expects.",
    ),
    "408": ("TooSlow", "The body took too long to arrive; send the request again."),
    "410": ("Forgotten", "What happened after the cursor is not kept any more."),
    "412": ("Changed", "The conversation does not have a revision that the request asks for."),
    "413": ("TooLarge", "The body is larger than this service allows."),
    "414": ("PathTooLong", "The path is longer than ids of 255 characters make it."),
    "415": ("NotJson", "The body is not JSON, or is encoded, for example with gzip."),
    "422": ("Invalid", "A value is wrong or over a limit; `errors` names the field."),
    "429": ("TooMany", "The caller sends more requests, at once or per minute, than allowed."),
    "500": ("Unexpected", "A bug in this service."),
    "503": ("Unavailable", "The service cannot answer now; it is safe to try again."),
}
_RETRY_AFTER: Final = {
    "Retry-After": {
        "description": "how many seconds to wait before the next try",
        "schema": {"type": "integer", "minimum": 0},
    }
}
_ERROR_HEADERS: Final[dict[str, dict[str, Any]]] = {
    "401": {
        "WWW-Authenticate": {
            "description": "the challenge of RFC 6750",
            "schema": {"type": "string"},
        }
    },
    "412": {
        "ETag": {
            "description": "the revision of the conversation, in quotes",
            "schema": {"type": "string"},
        }
    },
    "429": _RETRY_AFTER,
    "503": _RETRY_AFTER,
}


def build_errors() -> dict[str, Any]:
    """Return the answers of the document's `components`, by name."""
    return {name: _build(status, description) for status, (name, description) in ERRORS.items()}


def _build(status: str, description: str) -> dict[str, Any]:
    examples = {
        problem.code: {"value": msgspec.to_builtins(problem.problem())}
        for problem in PROBLEMS
        if problem.status == int(status)
    }
    error = {
        "description": description,
        "content": {
            PROBLEM_JSON: {"schema": {"$ref": f"{REFERENCE}Problem"}, "examples": examples}
        },
    }
    return error | ({"headers": _ERROR_HEADERS[status]} if status in _ERROR_HEADERS else {})
