"""The JSON schemas of content parts, for the OpenAPI document. `domain.parts` checks them."""

from typing import Any, Final

from chatkeep.domain.parts import MAX_PARTS

_TEXT: Final = {"type": "string"}
_FILLED: Final = {"type": "string", "minLength": 1}
_TEXT_OR_NULL: Final = {"type": ["string", "null"]}


def _part(kind: str, member: dict[str, Any]) -> dict[str, Any]:
    properties = {"type": {"const": kind}, kind: member}
    return {"title": kind, "type": "object", "properties": properties, "required": ["type", kind]}


def _object(required: dict[str, Any], optional: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": required | optional, "required": list(required)}


_KINDS: Final = (
    _part("text", _TEXT),
    _part("refusal", _TEXT),
    _part("image_url", _object({"url": _FILLED}, {"detail": _TEXT_OR_NULL})),
    _part("input_audio", _object({"data": _FILLED, "format": _FILLED}, {})),
    _part(
        "file",
        {
            **_object({}, dict.fromkeys(("file_data", "file_id", "filename"), _TEXT_OR_NULL)),
            "anyOf": [
                {"properties": {name: _FILLED}, "required": [name]}
                for name in ("file_data", "file_id")
            ],
        },
    ),
)
_OTHER: Final = {
    "title": "Another kind",
    "description": "kept unchecked",
    "type": "object",
    "properties": {
        "type": {**_FILLED, "not": {"enum": [kind["title"] for kind in _KINDS]}},
    },
    "required": ["type"],
}
PARTS: Final[dict[str, Any]] = {
    "type": "array",
    "description": "content parts, in the form of OpenAI's chat API",
    "minItems": 1,
    "maxItems": MAX_PARTS,
    "items": {"anyOf": [*_KINDS, _OTHER]},
}
STORED_PARTS: Final[dict[str, Any]] = {
    "type": "array",
    "description": "content parts, as they were sent",
    "items": {"type": "object", "properties": {"type": _TEXT}, "required": ["type"]},
}
CONTENT: Final[dict[str, Any]] = {
    "anyOf": [{"type": "string"}, PARTS, {"type": "null"}],
    "default": None,
}
