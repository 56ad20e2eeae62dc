"""UI message chunks become the UIMessage that the AI SDK's own reader makes of them."""

import json

import pytest

from chatkeep.domain.draft_messages import finished_message, interrupted_message
from chatkeep.domain.drafts import Chunk, Interruption
from chatkeep.domain.errors import InvalidValueError, LimitExceededError
from chatkeep.domain.formats.ai_sdk_chunks import assemble
from chatkeep.domain.model import JsonText, Limits
from chatkeep.domain.operations.selftest.builders import new_conversation
from chatkeep.testing.contract.drafts import new_draft

CHUNKS = r"""
{"type":"start","messageId":"msg-1","messageMetadata":{"a":{"x":1,"y":2},"b":1}}
{"type":"start-step"}
{"type":"reasoning-start","id":"r","providerMetadata":{"p":{"s":1}}}
{"type":"reasoning-delta","id":"r","delta":"think"}
{"type":"reasoning-end","id":"r","providerMetadata":{"p":{"s":2}}}
{"type":"text-start","id":"0"}
{"type":"text-delta","id":"0","delta":"It was "}
{"type":"text-start","id":"1"}
{"type":"text-delta","id":"1","delta":"other"}
{"type":"text-delta","id":"0","delta":"shipped"}
{"type":"text-end","id":"0"}
{"type":"tool-input-start","toolCallId":"c1","toolName":"find"}
{"type":"tool-input-delta","toolCallId":"c1","inputTextDelta":"{\"n\":"}
{"type":"tool-input-delta","toolCallId":"c1","inputTextDelta":"1}"}
{"type":"tool-input-available","toolCallId":"c1","toolName":"find","input":{"n":1},"providerMetadata":{"p":{"c":1}}}
{"type":"tool-output-available","toolCallId":"c1","output":{"r":[1,null]},"preliminary":true}
{"type":"tool-output-available","toolCallId":"c1","output":{"r":[2]}}
{"type":"tool-input-available","toolCallId":"c2","toolName":"dyn","input":"x","dynamic":true}
{"type":"tool-output-error","toolCallId":"c2","errorText":"broke","dynamic":true}
{"type":"tool-input-error","toolCallId":"c3","toolName":"find","input":"{bad","errorText":"no JSON"}
{"type":"finish-step"}
{"type":"start-step"}
{"type":"data-weather","id":"w","data":{"t":1}}
{"type":"data-weather","data":{"t":5}}
{"type":"data-weather","id":"w","data":{"t":2}}
{"type":"data-note","data":1,"transient":true}
{"type":"source-url","sourceId":"s","url":"https://a.example","title":"A"}
{"type":"source-document","sourceId":"d","mediaType":"text/plain","title":"D"}
{"type":"file","mediaType":"image/png","url":"data:image/png;base64,AA=="}
{"type":"message-metadata","messageMetadata":{"a":{"y":3}}}
{"type":"text-start","id":"0"}
{"type":"text-delta","id":"0","delta":"end"}
{"type":"finish-step"}
{"type":"finish","messageMetadata":{"c":true}}
"""
# What `readUIMessageStream` of ai 5.0.277 makes of them.
MESSAGE = r"""
{
 "id": "msg-1",
 "metadata": {
  "a": {
   "x": 1,
   "y": 3
  },
  "b": 1,
  "c": true
 },
 "role": "assistant",
 "parts": [
  {
   "type": "step-start"
  },
  {
   "type": "reasoning",
   "id": "r",
   "text": "think",
   "providerMetadata": {
    "p": {
     "s": 2
    }
   },
   "state": "done"
  },
  {
   "type": "text",
   "text": "It was shipped",
   "state": "done"
  },
  {
   "type": "text",
   "text": "other",
   "state": "streaming"
  },
  {
   "type": "tool-find",
   "toolCallId": "c1",
   "state": "output-available",
   "input": {
    "n": 1
   },
   "output": {
    "r": [
     2
    ]
   },
   "callProviderMetadata": {
    "p": {
     "c": 1
    }
   }
  },
  {
   "type": "dynamic-tool",
   "toolName": "dyn",
   "toolCallId": "c2",
   "state": "output-error",
   "input": "x",
   "errorText": "broke"
  },
  {
   "type": "tool-find",
   "toolCallId": "c3",
   "state": "output-error",
   "rawInput": "{bad",
   "errorText": "no JSON"
  },
  {
   "type": "step-start"
  },
  {
   "type": "data-weather",
   "id": "w",
   "data": {
    "t": 2
   }
  },
  {
   "type": "data-weather",
   "data": {
    "t": 5
   }
  },
  {
   "type": "source-url",
   "sourceId": "s",
   "url": "https://a.example",
   "title": "A"
  },
  {
   "type": "source-document",
   "sourceId": "d",
   "mediaType": "text/plain",
   "title": "D"
  },
  {
   "type": "file",
   "mediaType": "image/png",
   "url": "data:image/png;base64,AA=="
  },
  {
   "type": "text",
   "text": "end",
   "state": "streaming"
  }
 ]
}
"""
DRAFT = new_draft(new_conversation(), format="ai-sdk", metadata=JsonText('{"model":"large"}'))


def chunks(*given: object) -> list[Chunk]:
    return [Chunk(seq, json.dumps(each)) for seq, each in enumerate(given, 1)]


def said(*deltas: str) -> list[object]:
    begun: list[object] = [{"type": "start"}, {"type": "text-start", "id": "0"}]
    return [*begun, *({"type": "text-delta", "id": "0", "delta": each} for each in deltas)]


def test_chunks_become_what_the_sdk_makes_of_them() -> None:
    lines = CHUNKS.strip().splitlines()

    assert json.loads(assemble(lines, "msg-1")) == json.loads(MESSAGE)


def test_what_tools_got_and_gave_stays_as_it_was_written() -> None:
    written = '{ "n" : 1.10, "n": 12345678901234567890 }'
    call = f'{{"type":"tool-input-available","toolCallId":"c","toolName":"f","input":{written}}}'
    answer = f'{{"type":"tool-output-available","toolCallId":"c","output":{written}}}'

    assert assemble([call, answer], "m").count(written) == 2


@pytest.mark.parametrize(
    "chunk",
    [
        {},
        {"type": 1},
        {"type": "unknown"},
        {"type": "text-delta", "id": "none", "delta": "lost"},
        {"type": "text-end", "id": "none"},
        {"type": "tool-output-available", "toolCallId": "none", "output": 1},
        {"type": "tool-input-available", "toolCallId": "c"},
        {"type": "error", "errorText": "broke"},
        {"type": "abort"},
    ],
)
def test_a_chunk_that_the_sdk_refuses_is_left_out(chunk: object) -> None:
    assert json.loads(assemble([json.dumps(chunk)], "m")) == {
        "id": "m",
        "role": "assistant",
        "parts": [],
    }


def test_a_finished_answer_is_a_message_with_the_original() -> None:
    message = finished_message(DRAFT, chunks(*said("It was ", "shipped.")), Limits())

    assert message is not None
    assert (message.id, message.content, message.format) == (
        DRAFT.message_id,
        "It was shipped.",
        "ai-sdk",
    )
    assert json.loads(message.original or "")["id"] == str(DRAFT.message_id)
    assert message.metadata == DRAFT.metadata


def test_a_finished_answer_has_limits() -> None:
    with pytest.raises(LimitExceededError):
        finished_message(DRAFT, chunks(*said("a" * 11)), Limits(max_message_chars=10))


def test_an_interrupted_answer_keeps_what_there_is_without_limits() -> None:
    message = interrupted_message(DRAFT, chunks(*said("a" * 20_000)), Interruption.EXPIRED)

    assert message is not None
    assert message.content == "a" * 20_000
    assert json.loads(message.metadata) == {"model": "large", "chatkeep.interrupted": "expired"}


def test_interrupted_chunks_that_make_no_ui_message_are_kept_as_a_list() -> None:
    broken = chunks({"type": "file", "mediaType": 1})

    with pytest.raises(InvalidValueError):
        finished_message(DRAFT, broken, Limits())
    message = interrupted_message(DRAFT, broken, Interruption.CANCELLED)
    assert message is not None
    assert message.original == f"[{broken[0].text}]"
