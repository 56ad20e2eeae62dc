"""Content parts in the forms that the APIs of models take.

Parts are in the form of OpenAI's chat API, or images and documents of Anthropic's API, which
imports keep as they are. A part that an API does not take is left out, and named with the reason.
"""

import binascii
import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from chatkeep.domain.formats.codec import Document, Embed
from chatkeep.domain.ids import written_id
from chatkeep.domain.json_sources import dump
from chatkeep.domain.model import Message, Role
from chatkeep.domain.parts import TEXTS, Part, split_parts

_IMAGES: Final = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_PDF: Final = "application/pdf"
_PDFS: Final = frozenset({_PDF})
_TEXT: Final = "text/plain"
_TITLE_CHARS: Final = 500
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_FORMS_OF_ROLES: Final[Mapping[Role, frozenset[str]]] = {
    Role.SYSTEM: frozenset({"text"}),
    Role.DEVELOPER: frozenset({"text"}),
    Role.USER: frozenset({"text", "image_url", "input_audio", "file"}),
    Role.ASSISTANT: frozenset({"text", "refusal"}),
    Role.TOOL: frozenset({"text"}),
}
_DOCUMENT_MEMBERS: Final = ("title", "context")
_WITH_BLOCKS: Final = frozenset({Role.USER, Role.TOOL})
"""The roles whose messages may have more than text at Anthropic."""


class Data(NamedTuple):
    """The content of a `data:` URL in base64."""

    media_type: str
    base64: str


class _NoFormError(Exception):
    """An API does not take a part. The message is the reason."""


def openai_content(message: Message, embed: Embed, omitted: list[Document]) -> object:
    """Return the content of a message for OpenAI's chat API; None if nothing is left of it.

    Parts that the API takes in a message of this role are given as they are stored. Adds the others
    to `omitted`.
    """
    if message.parts is None:
        return message.content
    parts = split_parts(message.parts)
    kept = []
    for part in parts:
        try:
            kept.append(_openai_part(part, message.role, alone=len(parts) == 1))
        except _NoFormError as error:
            omitted.append(_omitted(message, part, error))
    return embed(f"[{','.join(kept)}]") if kept else None


def anthropic_blocks(message: Message, omitted: list[Document]) -> list[Document]:
    """Return the parts of a message as blocks of Anthropic's API, without blank texts.

    Adds the parts that the API does not take to `omitted`.
    """
    blocks: list[Document] = []
    for part in split_parts(message.parts) if message.parts is not None else ():
        if part.kind in TEXTS:
            text = part.value[TEXTS[part.kind]]
            blocks += [{"type": "text", "text": text}] if text.strip() else []
            continue
        try:
            blocks.append(_anthropic_block(part, message.role))
        except _NoFormError as error:
            omitted.append(_omitted(message, part, error))
    return blocks


def to_openai_form(part: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a block of Anthropic's API in OpenAI's form, if it has one; others as they are."""
    try:
        return _OPENAI_FORMS[part["type"]](part) if part["type"] in _OPENAI_FORMS else part
    except _NoFormError:
        return part


def parse_data_url(url: str) -> Data | None:
    """Return the content of a `data:` URL in base64; None for any other URL."""
    if url[:5].lower() != "data:":
        return None
    head, comma, data = url[5:].partition(",")
    media_type, *parameters = head.split(";")
    if not comma or not parameters or parameters[-1].strip().lower() != "base64":
        return None
    return Data(media_type.strip().lower(), data)


def _omitted(message: Message, part: Part, reason: _NoFormError) -> Document:
    return {
        "message_id": written_id(message.id),
        "part": part.place,
        "type": part.kind,
        "reason": str(reason),
    }


def _in_role(api: str, part: Part, role: Role) -> str:
    return f"{api} takes no {part.kind[:50]} in a message with the role {role.value}"


def _openai_part(part: Part, role: Role, *, alone: bool) -> str:
    """Return a part for a message of this role, as JSON."""
    kind, source = part.kind, part.source
    if kind == "refusal" and not (role is Role.ASSISTANT and alone):
        return dump({"type": "text", "text": part.value["refusal"]})
    if kind in _OPENAI_FORMS:
        made = _OPENAI_FORMS[kind](part.value)
        kind, source = made["type"], dump(made)
    if kind not in _FORMS_OF_ROLES[Role.USER] and kind not in TEXTS:
        raise _NoFormError(f"OpenAI's chat API has no part of the type {kind[:50]}")
    if kind not in _FORMS_OF_ROLES[role]:
        raise _NoFormError(_in_role("OpenAI's chat API", part, role))
    return source


def _image_for_openai(block: Mapping[str, Any]) -> Document:
    match block.get("source"):
        case {"type": "base64", "media_type": str(media_type), "data": str(data)}:
            return _openai_image(f"data:{media_type};base64,{data}")
        case {"type": "url", "url": str(url)}:
            return _openai_image(url)
    raise _NoFormError("the image is stored at Anthropic, or in an unknown form")


def _document_for_openai(block: Mapping[str, Any]) -> Document:
    title = block.get("title")
    match block.get("source"):
        case {"type": "base64", "media_type": str(media_type), "data": str(data)}:
            name = title if isinstance(title, str) and title else "document"
            file = {"filename": name, "file_data": f"data:{media_type};base64,{data}"}
            return {"type": "file", "file": file}
        case {"type": "text", "data": str(text)}:
            return {"type": "text", "text": text}
        case {"type": "url"}:
            raise _NoFormError("OpenAI's chat API takes no document by its URL")
    raise _NoFormError("the document is stored at Anthropic, or in an unknown form")


def _openai_image(url: str) -> Document:
    return {"type": "image_url", "image_url": {"url": url}}


_OPENAI_FORMS: Final[Mapping[str, Callable[[Mapping[str, Any]], Document]]] = {
    "image": _image_for_openai,
    "document": _document_for_openai,
}


def _anthropic_block(part: Part, role: Role) -> Document:
    if role not in _WITH_BLOCKS:
        raise _NoFormError(_in_role("Anthropic's API", part, role))
    match part.value:
        case {"type": "image_url", "image_url": {"url": str(url)}}:
            return {"type": "image", "source": _image_source(url)}
        case {"type": "file", "file": {"file_data": str(data), **rest}} if data:
            name = rest.get("filename")
            return _document(data, name if isinstance(name, str) else "")
        case {"type": "file"}:
            raise _NoFormError("the file is stored at OpenAI; only its file_id is here")
        case {"type": "input_audio"}:
            raise _NoFormError("Anthropic's API takes no audio")
        case {"type": "image", "source": dict(source)}:
            return {"type": "image", "source": _own_source(source, _IMAGES)}
        case {"type": "document", "source": dict(source), **rest}:
            members = {name: rest[name] for name in _DOCUMENT_MEMBERS if _is_filled(rest.get(name))}
            return {"type": "document", "source": _own_source(source, _PDFS), **members}
    raise _NoFormError(f"Anthropic's API has no block of the type {part.kind[:50]}")


def _own_source(source: Document, taken: frozenset[str]) -> Document:
    """Return the source of a block that was imported, if the API takes it."""
    match source:
        case {"type": "base64", "media_type": str(media_type), "data": str(data)}:
            return _base64_source(Data(media_type, data), taken)
        case {"type": "url", "url": str(url)} if _is_https(url):
            return {"type": "url", "url": url}
        case {"type": "text", "data": str(text)} if taken is _PDFS and text.strip():
            return {"type": "text", "media_type": _TEXT, "data": text}
        case {"type": "file", "file_id": str(file_id)} if file_id:
            return {"type": "file", "file_id": file_id}
    raise _NoFormError("Anthropic's API does not take its source")


def _image_source(url: str) -> Document:
    if _is_https(url):
        return {"type": "url", "url": url}
    data = parse_data_url(url)
    if data is None:
        raise _NoFormError("its URL has neither https nor data in base64")
    return _base64_source(data, _IMAGES)


def _document(file_data: str, name: str) -> Document:
    data = parse_data_url(file_data)
    if data is None and _is_https(file_data):
        source: Document = {"type": "url", "url": file_data}
    elif data is None:
        if not name.lower().endswith(".pdf"):
            raise _NoFormError("its file_data is not a data URL, so that its type is unknown")
        source = _base64_source(Data(_PDF, file_data), _PDFS)
    elif data.media_type in _IMAGES:
        return {"type": "image", "source": _base64_source(data, _IMAGES)}
    elif data.media_type.startswith("text/"):
        source = {"type": "text", "media_type": _TEXT, "data": _decode_text(data)}
    else:
        source = _base64_source(data, _PDFS)
    title: Document = {"title": name[:_TITLE_CHARS]} if name.strip() else {}
    return {"type": "document", "source": source, **title}


def _base64_source(data: Data, taken: frozenset[str]) -> Document:
    if data.media_type not in taken:
        raise _NoFormError(f"Anthropic's API takes no {data.media_type[:50] or 'data of no type'}")
    if len(data.base64) % 4 or not _BASE64.fullmatch(data.base64):
        raise _NoFormError("its data is not base64")
    return {"type": "base64", "media_type": data.media_type, "data": data.base64}


def _decode_text(data: Data) -> str:
    try:
        text = b64decode(data.base64, validate=True).decode()
    except (binascii.Error, ValueError):
        raise _NoFormError("its data is not text of UTF-8 in base64") from None
    if not text.strip():
        raise _NoFormError("the document is empty")
    return text


def _is_filled(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_https(url: str) -> bool:
    return url[:8].lower() == "https://"
