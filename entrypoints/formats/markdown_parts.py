"""Content parts in Markdown: a link for what is at a URL, otherwise the type and size of the data.

The data itself is not written: it is not readable, and may be megabytes.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from chatkeep.domain.formats.part_forms import parse_data_url, to_openai_form
from chatkeep.domain.parts import Part

_WEB: Final = re.compile(r"https?://", re.IGNORECASE)
_NOT_IN_LINK: Final = re.compile(r"[^!#$%'()*+,./0-9:;=?@A-Za-z_~-]")
_SHOWN_CHARS: Final = 200


def describe(part: Part) -> tuple[str, str | None, str]:
    """Return what a part is, its URL on the web if it has one, and other details."""
    value = to_openai_form(part.value)
    match value:
        case {"type": "image_url", "image_url": {"url": str(url)}}:
            return _at("Image", url)
        case {"type": "file", "file": dict(file)}:
            return _file(file)
        case {"type": "input_audio", "input_audio": {"data": str(data), "format": str(form)}}:
            return "Audio", None, f"{form}, {_size(data)}"
    return "Part", None, f"{part.kind}, {len(part.source.encode())} bytes as JSON"


def link_target(url: str) -> str:
    """Return a URL to write within `<` and `>`, so that nothing in it can end the link."""
    return _NOT_IN_LINK.sub(lambda found: _percent(found[0]), url)


def shorten(url: str) -> str:
    return url if len(url) <= _SHOWN_CHARS else f"{url[:_SHOWN_CHARS]}..."


def _at(what: str, url: str) -> tuple[str, str | None, str]:
    if _WEB.match(url):
        return what, url, ""
    data = parse_data_url(url)
    if data is not None:
        return what, None, f"{data.media_type or 'of no type'}, {_size(data.base64)}"
    return what, None, f"at {shorten(url)}"


def _file(file: Mapping[str, Any]) -> tuple[str, str | None, str]:
    name, data, file_id = (file.get(key) for key in ("filename", "file_data", "file_id"))
    details = [each for each in (name, file_id and f"id {file_id}") if isinstance(each, str)]
    what, url, of_data = "File", None, ""
    if isinstance(data, str) and data:
        what, url, of_data = _at("File", data)
        if of_data.startswith("at "):  # base64 alone
            of_data = _size(data)
    return what, url, ", ".join(filter(None, (*details, of_data)))


def _size(base64: str) -> str:
    return f"{len(base64.rstrip('=')) * 3 // 4} bytes"


def _percent(character: str) -> str:
    if character == "&":  # Markdown reads entities here
        return "&amp;"
    return "".join(f"%{byte:02X}" for byte in character.encode())
