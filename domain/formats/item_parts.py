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

from chatkeep.domain import json_values
from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.formats.codec import Document
from chatkeep.domain.formats.part_forms import to_openai_form
from chatkeep.domain.json_sources import Members, members, value_of, write_object
from chatkeep.domain.model import Message, Role
from chatkeep.domain.parts import Content, check_compact, compact, split_parts

_FILE_MEMBERS: Final = ("file_data", "file_id", "filename")
_TEXTS: Final = frozenset({"input_text", "output_text", "summary_text", "text", "refusal"})
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


def read_item_parts(content: str) -> Content | None:
    """Return the parts of an item's content, a JSON text; None if it has only texts.

    Images, files and audio get the form that parts have here. Parts without such a form, like an
    image of which only the id of its file is known, stay as they are. Raises `TooManyValuesError`.
    """
    if not content.startswith("[") or not any(quoted in content for quoted in _QUOTED):
        return None
    found = []
    is_more = False
    for source in json_values.elements(content):
        part = members(source)
        kind = None if part is None else value_of(part, "type")
        made = None
        if part is not None and isinstance(kind, str):
            if kind in _READERS:
                made = _READERS[kind](part)
                is_more = is_more or made is not None
            elif kind in _TEXTS:
                made = _read_text(part)
        found.append(compact(made or source))  # of a large image nothing needs to be changed
    if not is_more:
        return None
    try:
        return check_compact(f"[{','.join(found)}]", field="content")
    except InvalidValueError:  # an item may have what parts cannot, such as repeated keys
        return None


def _read_text(part: Members) -> str | None:
    for name in ("text", "refusal"):
        if isinstance(value_of(part, name), str):
            return _write(name, part[name].text)
    return None


def _read_image(part: Members) -> str | None:
    url = value_of(part, "image_url")
    if not isinstance(url, str) or not url:
        return None
    detail = {"detail": part["detail"].text} if isinstance(value_of(part, "detail"), str) else {}
    return _write("image_url", write_object({"url": part["image_url"].text, **detail}))


def _read_file(part: Members) -> str | None:
    file = {
        name: part[name].text
        for name in _FILE_MEMBERS
        if isinstance(value_of(part, name), str) and value_of(part, name)
    }
    return _write("file", write_object(file)) if file.keys() & {"file_data", "file_id"} else None


def _read_audio(part: Members) -> str | None:
    audio = members(part["input_audio"].text) if "input_audio" in part else None
    values = [] if audio is None else [value_of(audio, name) for name in ("data", "format")]
    if not values or not all(isinstance(value, str) and value for value in values):
        return None
    return _write("input_audio", part["input_audio"].text)


def _write(kind: str, member: str) -> str:
    return f'{{"type":"{kind}","{kind}":{member}}}'


_READERS: Final[Mapping[str, Callable[[Members], str | None]]] = {
    "input_image": _read_image,
    "input_file": _read_file,
    "input_audio": _read_audio,
}
_QUOTED: Final = [f'"{kind}"' for kind in _READERS]
_SAID: Final = frozenset({"text", "refusal"})
_WRITERS: Final[Mapping[str, Callable[[Mapping[str, Any], Role], Document]]] = {
    "text": _write_text,
    "refusal": _write_refusal,
    "image_url": _write_image,
    "file": _write_file,
    "input_audio": _write_audio,
}
