"""Content parts as those of OpenAI's items, and the other way round.

| here | in items |
| --- | --- |
| text, refusal | input_text, or output_text and refusal of the assistant |
| image_url | input_image with an image_url |
| file | input_file |
| input_audio | input_audio |
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from chatkeep.domain.formats.codec import Document
from chatkeep.domain.formats.part_forms import to_openai_form
from chatkeep.domain.model import Message, Role
from chatkeep.domain.parts import split_parts

_FILE_MEMBERS: Final = ("file_data", "file_id", "filename")
_TEXTS: Final = frozenset({"input_text", "output_text", "text", "refusal"})
"""The kinds of parts in items that are text."""


def write_item_parts(message: Message) -> list[Document]:
    """Return the parts of a message as parts of an item; those that items cannot have are left out.

    Items of the assistant have only texts and refusals.
    """
    found = []
    for part in split_parts(message.parts) if message.parts is not None else ():
        value = to_openai_form(part.value)
        write = _WRITERS.get(value["type"])
        if write is not None and (message.role is not Role.ASSISTANT or value["type"] in _SAID):
            found.append(write(value, message.role))
    return found


def _write_text(part: Mapping[str, Any], role: Role) -> Document:
    if role is Role.ASSISTANT:
        return {"type": "output_text", "text": part["text"], "annotations": [], "logprobs": []}
    return {"type": "input_text", "text": part["text"]}


def _write_refusal(part: Mapping[str, Any], role: Role) -> Document:
    if role is Role.ASSISTANT:
        return {"type": "refusal", "refusal": part["refusal"]}
    return {"type": "input_text", "text": part["refusal"]}


def _write_image(part: Mapping[str, Any], _: Role) -> Document:
    image = part["image_url"]
    return {
        "type": "input_image",
        "detail": image.get("detail") or "auto",
        "image_url": image["url"],
    }


def _write_file(part: Mapping[str, Any], _: Role) -> Document:
    file = part["file"]
    return {"type": "input_file", **{name: file[name] for name in _FILE_MEMBERS if file.get(name)}}


def _write_audio(part: Mapping[str, Any], _: Role) -> Document:
    audio = part["input_audio"]
    return {
        "type": "input_audio",
        "input_audio": {"data": audio["data"], "format": audio["format"]},
    }


_SAID: Final = frozenset({"text", "refusal"})
_WRITERS: Final[Mapping[str, Callable[[Mapping[str, Any], Role], Document]]] = {
    "text": _write_text,
    "refusal": _write_refusal,
    "image_url": _write_image,
    "file": _write_file,
    "input_audio": _write_audio,
}
