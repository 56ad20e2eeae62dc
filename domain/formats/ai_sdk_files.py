"""Files and images: parts of UIMessages, and content parts in the form of OpenAI's chat API."""

import re
from collections.abc import Mapping
from typing import Any, Final

from chatkeep.domain.formats.ai_sdk_messages import FILE, UIMessage, UIPart, object_in, steps, texts
from chatkeep.domain.formats.codec import Document
from chatkeep.domain.model import Role

_DATA_URL: Final = re.compile(r"data:([^;,]*)(?:;[^,]*)?,")
_BASE64: Final = ";base64,"
_AUDIO: Final = {"audio/wav": "wav", "audio/x-wav": "wav", "audio/mpeg": "mp3", "audio/mp3": "mp3"}
_AUDIO_TYPES: Final = {"wav": "audio/wav", "mp3": "audio/mpeg"}
_IMAGES: Final = {"jpg": "jpeg", "jpeg": "jpeg", "svg": "svg+xml"}
_EXTENSION: Final = re.compile(r"\.(png|jpe?g|gif|webp|avif|bmp|svg)(?:[?#]|$)", re.IGNORECASE)
_ANY_IMAGE: Final = "image/*"
_ANY_FILE: Final = "application/octet-stream"


def to_content_part(part: UIPart) -> Document | None:
    """Return the content part of a `file` part; None without a URL and an id of OpenAI."""
    url, media_type = part.string("url"), part.string("mediaType").lower()
    reference = object_in(part.value, part.source, "providerReference") or {}
    file_id = reference.get("openai")
    if not url and not (isinstance(file_id, str) and file_id):
        return None
    if url and media_type.startswith("image/"):
        return {"type": "image_url", "image_url": {"url": url}}
    data = url.partition(_BASE64)[2] if url.startswith("data:") else ""
    if media_type in _AUDIO and data:
        return {"type": "input_audio", "input_audio": {"data": data, "format": _AUDIO[media_type]}}
    file: Document = {"file_data": url} if url else {"file_id": file_id}
    if filename := part.string("filename"):
        file["filename"] = filename
    return {"type": "file", "file": file}


def content_parts(message: UIMessage) -> list[Document]:
    """Return the content as parts if there are files at URLs; those in `data:` URLs are left out.

    They are in the original, and would be stored twice.
    """
    if message.role is Role.SYSTEM or not any(map(_is_at_url, message.parts)):
        return []
    found: list[Document] = []
    for step in steps(message.parts):
        said = [*texts(step)] if message.role is Role.USER else ["".join(texts(step))]
        found += [{"type": "text", "text": text} for text in said if text]
        found += filter(None, map(to_content_part, filter(_is_at_url, step)))
    return found


def _is_at_url(part: UIPart) -> bool:
    url = part.string("url")
    return part.kind == FILE and url != "" and not url[:5].lower().startswith("data:")


def from_content_part(part: Mapping[str, Any]) -> Document | None:
    """Return the part of a UIMessage for a content part; None if it has no form there."""
    match part:
        case {"type": "text", "text": str(text)} | {"type": "refusal", "refusal": str(text)}:
            return {"type": "text", "text": text}
        case {"type": "image_url", "image_url": {"url": str(url)} | str(url)}:
            return {"type": "file", "mediaType": _image_type(url), "url": url}
        case {"type": "input_audio", "input_audio": {"data": str(data), "format": str(form)}}:
            media_type = _AUDIO_TYPES.get(form, f"audio/{form}")
            url = f"data:{media_type};base64,{data}"
            return {"type": "file", "mediaType": media_type, "url": url}
        case {"type": "file", "file": {"file_data": str(url), **rest}}:
            if not url.startswith(("data:", "http:", "https:")):
                url = f"data:{_ANY_FILE};base64,{url}"
            file = {"type": "file", "mediaType": _type_in(url) or _ANY_FILE, "url": url}
            name = rest.get("filename")
            return {**file, "filename": name} if isinstance(name, str) else file
    return None


def _type_in(url: str) -> str:
    found = _DATA_URL.match(url)
    return found[1] if found else ""


def _image_type(url: str) -> str:
    if url.startswith("data:"):
        return _type_in(url) or _ANY_IMAGE
    found = _EXTENSION.search(url)
    if found is None:
        return _ANY_IMAGE
    extension = found[1].lower()
    return f"image/{_IMAGES.get(extension, extension)}"
