"""The fields that bodies of requests and responses share."""

from datetime import datetime
from typing import Annotated, Final

from msgspec import Meta, Raw

from chatkeep.domain.model import MAX_FORMAT_CHARS, MAX_TOKENS
from chatkeep.entrypoints.http.ids import GivenId
from chatkeep.entrypoints.http.part_schemas import CONTENT, STORED_PARTS

# `json_documents` decodes and checks these documents, so `Raw` also accepts null.
OBJECT: Final = {"type": "object"}
OBJECTS: Final = {"type": "array", "items": OBJECT}
Metadata = Annotated[
    Raw,
    Meta(
        description="any data you want to store with it",
        extra_json_schema={"type": ["object", "null"], "default": None},
    ),
]
ToolCalls = Annotated[
    Raw,
    Meta(
        description="the assistant's tool calls, in the format of OpenAI's chat API",
        extra_json_schema={**OBJECTS, "type": ["array", "null"], "default": None},
    ),
]
Content = Annotated[
    Raw,
    Meta(
        description="a text, or a list of content parts as in OpenAI's chat API; null only for an "
        "assistant that only calls tools",
        extra_json_schema=CONTENT,
    ),
]
ToolCallId = Annotated[str, Meta(description="for the role tool: the call that it answers")]
Name = Annotated[
    str, Meta(description="the author or the tool, if the role does not say it precisely enough")
]
Tokens = Annotated[
    int,
    Meta(
        description="how many tokens it is for the model; otherwise `max_tokens` estimates them",
        extra_json_schema={"minimum": 0, "maximum": MAX_TOKENS},
    ),
]
StartsContext = Annotated[
    bool,
    Meta(description="contexts begin with it: it is a summary of what came before, or a new start"),
]
FormatName = Annotated[
    str,
    Meta(
        description="the name of the format of `original`, such as `ai-sdk`, without spaces",
        extra_json_schema={"minLength": 1, "maxLength": MAX_FORMAT_CHARS},
    ),
]
Original = Annotated[
    Raw,
    Meta(
        description="your own document for it, any JSON; kept as it is written, byte for byte",
        extra_json_schema={},
    ),
]
Title = Annotated[str, Meta(description="a title to show in a list")]
Retain = Annotated[
    bool,
    Meta(description="a hold: deletion is refused until it is lifted; only for service keys"),
]

# Stored JSON is passed on unchanged.
StoredParts = Annotated[Raw, Meta(extra_json_schema=STORED_PARTS)]
StoredMetadata = Annotated[Raw, Meta(description="as it was sent", extra_json_schema=OBJECT)]
StoredToolCalls = Annotated[Raw, Meta(description="as they were sent", extra_json_schema=OBJECTS)]
StoredOriginal = Annotated[
    Raw, Meta(description="byte for byte as it was sent; only if requested", extra_json_schema={})
]
WrittenBy = Annotated[int, Meta(description="the number of the branch that it was written in")]
AppendAfter = Annotated[
    GivenId,
    Meta(
        description="continue after this message; null: before the first one. After a message that "
        "is not the last one of a branch, a new branch starts. Without it, the current branch goes "
        "on"
    ),
]
Moment = Annotated[datetime, Meta(tz=True)]
NextCursor = Annotated[
    str, Meta(description="send it as `cursor` to get the next page; null on the last one")
]
PreviousCursor = Annotated[
    str,
    Meta(
        description="only with `around`: send it as `cursor` to get the messages before these, "
        "latest first; null if there are none"
    ),
]
