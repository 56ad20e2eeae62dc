"""A context to send on to OpenAI's chat API."""

import re
from typing import Final

from chatkeep.domain.context import Context
from chatkeep.domain.formats.codec import Document, Embed
from chatkeep.domain.formats.part_forms import openai_content
from chatkeep.domain.model import Message, Role

_ASSISTANT: Final = Role.ASSISTANT
_TOOL: Final = Role.TOOL
_NAME: Final = re.compile(r"[^\s<|\\/>]{1,64}")


def write_context(context: Context, embed: Embed) -> Document:
    """Return the messages of a context to send on to OpenAI's chat API.

    Tool calls and content parts are written as they are stored. Metadata, and a `name` that the API
    refuses, are left out. `omitted` names parts that it refuses, if there are any.
    """
    omitted: list[Document] = []
    messages = []
    for message in context.messages:
        document = _context_message(message, embed, omitted)
        if document is not None:
            messages.append(document)
    return {"messages": messages, "omitted": omitted} if omitted else {"messages": messages}


def _context_message(message: Message, embed: Embed, omitted: list[Document]) -> Document | None:
    """Return the document of a message; None if nothing is left of its parts."""
    document: Document = {"role": message.role, "content": message.content}
    if message.parts is not None:
        content = openai_content(message, embed, omitted)
        if content is None and message.role is _TOOL:
            content = ""
        if content is None and message.tool_calls is None:
            return None
        document["content"] = content
    if message.name is not None and _NAME.fullmatch(message.name):
        document["name"] = message.name
    if message.role is _ASSISTANT and message.tool_calls is not None:
        document["tool_calls"] = embed(message.tool_calls)
    if message.role is _TOOL and message.tool_call_id is not None:
        document["tool_call_id"] = message.tool_call_id
    return document
