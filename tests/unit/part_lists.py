"""Content parts to try things on: one of each kind, and any that hypothesis can think of."""

import json
from typing import Any, Final

from hypothesis import strategies as st

from chatkeep.domain.model import JsonText

PNG: Final = "data:image/png;base64,iVBORw0KGgo="
PDF: Final = "data:application/pdf;base64,JVBERi0xLjc="
NOTE: Final = "data:text/plain;base64,aGVsbG8="

TEXT: Final[dict[str, Any]] = {"type": "text", "text": "What is this?"}
IMAGE: Final[dict[str, Any]] = {
    "type": "image_url",
    "image_url": {"url": "https://example.com/a.png"},
}
IMAGE_DATA: Final[dict[str, Any]] = {
    "type": "image_url",
    "image_url": {"url": PNG, "detail": "low"},
}
AUDIO: Final[dict[str, Any]] = {
    "type": "input_audio",
    "input_audio": {"data": "UklGRg==", "format": "wav"},
}
FILE: Final[dict[str, Any]] = {"type": "file", "file": {"filename": "a.pdf", "file_data": PDF}}
FILE_TEXT: Final[dict[str, Any]] = {
    "type": "file",
    "file": {"filename": "note.txt", "file_data": NOTE},
}
FILE_ID: Final[dict[str, Any]] = {"type": "file", "file": {"file_id": "file-1"}}
FILE_URL: Final[dict[str, Any]] = {
    "type": "file",
    "file": {"file_data": "https://example.com/a.pdf"},
}
REFUSAL: Final[dict[str, Any]] = {"type": "refusal", "refusal": "I will not."}
UNKNOWN: Final[dict[str, Any]] = {
    "type": "video_url",
    "video_url": {"url": "https://example.com/a.mp4"},
}
BLOCK_IMAGE: Final[dict[str, Any]] = {
    "type": "image",
    "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="},
    "cache_control": {"type": "ephemeral"},
}
BLOCK_DOCUMENT: Final[dict[str, Any]] = {
    "type": "document",
    "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0xLjc="},
    "title": "a.pdf",
}
BLOCK_TEXT: Final[dict[str, Any]] = {
    "type": "document",
    "source": {"type": "text", "media_type": "text/plain", "data": "hello"},
}
BLOCK_FILE: Final[dict[str, Any]] = {
    "type": "image",
    "source": {"type": "file", "file_id": "file_1"},
}
BLOCK_URL: Final[dict[str, Any]] = {
    "type": "document",
    "source": {"type": "url", "url": "https://example.com/a.pdf"},
}

EVERY_KIND: Final[dict[str, dict[str, Any]]] = {
    "a text": TEXT,
    "an image by its URL": IMAGE,
    "an image as data": IMAGE_DATA,
    "audio": AUDIO,
    "a PDF as data": FILE,
    "a text file as data": FILE_TEXT,
    "a file at OpenAI": FILE_ID,
    "a PDF by its URL": FILE_URL,
    "a refusal": REFUSAL,
    "an unknown kind": UNKNOWN,
    "an image of Anthropic": BLOCK_IMAGE,
    "a PDF of Anthropic": BLOCK_DOCUMENT,
    "a text document of Anthropic": BLOCK_TEXT,
    "an image stored at Anthropic": BLOCK_FILE,
    "a document of Anthropic by its URL": BLOCK_URL,
}

_ANYTHING: Final[st.SearchStrategy[Any]] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(), max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)
_URLS: Final = st.sampled_from(
    [
        *(PNG, PDF, NOTE, "https://a/b", "http://a/b", "data:,a", "data:image/svg+xml;base64,AAAA"),
        *("data:image/png;base64,A", "data:image/png;base64,", "javascript:alert(1)", "", "x"),
        "DATA:IMAGE/PNG;BASE64,AAAA",
    ]
)


def _nearly(members: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    """Draw an object with some of these members, each right or wrong."""
    return st.fixed_dictionaries(
        {}, optional={name: good | _ANYTHING for name, good in members.items()}
    )


_TEXTS: Final = st.text(max_size=8)
any_part: Final[st.SearchStrategy[Any]] = (
    st.sampled_from([*EVERY_KIND.values()])
    | st.builds(
        lambda kind, members: {"type": kind, **members},
        st.sampled_from(
            ["text", "image_url", "input_audio", "file", "refusal", "image", "document", "a", ""]
        )
        | _ANYTHING,
        _nearly(
            {
                "text": _TEXTS,
                "refusal": _TEXTS,
                "image_url": _nearly({"url": _URLS, "detail": _TEXTS}),
                "input_audio": _nearly({"data": _TEXTS, "format": _TEXTS}),
                "file": _nearly({"file_data": _URLS, "file_id": _TEXTS, "filename": _TEXTS}),
                "source": _nearly(
                    {
                        "type": st.sampled_from(["base64", "url", "text", "file"]),
                        "media_type": st.sampled_from(["image/png", "application/pdf"]),
                        "data": _TEXTS,
                        "url": _URLS,
                    }
                ),
                "title": _TEXTS,
            }
        ),
    )
    | _ANYTHING
)
any_parts: Final[st.SearchStrategy[Any]] = st.lists(any_part, max_size=4) | _ANYTHING


def as_parts(*parts: object) -> JsonText:
    return JsonText(json.dumps(parts, ensure_ascii=False, separators=(",", ":")))
