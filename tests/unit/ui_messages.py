"""UIMessages of the AI SDK, versions 5 to 7: every kind of part in every state, and any others."""

from typing import Any, Final

from hypothesis import strategies as st

PIXEL: Final = "data:image/png;base64,iVBORw0KGgo="

TEXT: Final = {"type": "text", "text": "It is 20 degrees.", "state": "done"}
REASONING: Final = {
    "type": "reasoning",
    "id": "r1",
    "text": "The user wants the weather.",
    "state": "done",
    "providerMetadata": {"anthropic": {"signature": "c2ln"}},
}
STEP: Final = {"type": "step-start"}
IMAGE: Final = {"type": "file", "mediaType": "image/png", "filename": "map.png", "url": PIXEL}
PDF: Final = {
    "type": "file",
    "mediaType": "application/pdf",
    "filename": "plan.pdf",
    "url": "data:application/pdf;base64,JVBERi0=",
}
AUDIO: Final = {"type": "file", "mediaType": "audio/wav", "url": "data:audio/wav;base64,UklGRg=="}
SOURCE_URL: Final = {
    "type": "source-url",
    "sourceId": "s1",
    "url": "https://example.com/weather",
    "title": "Weather",
}
SOURCE_DOCUMENT: Final = {
    "type": "source-document",
    "sourceId": "s2",
    "mediaType": "application/pdf",
    "title": "Almanac",
    "filename": "almanac.pdf",
}
DATA: Final = {"type": "data-weather", "id": "w1", "data": {"city": "Kyiv", "status": "loading"}}
CUSTOM: Final = {"type": "custom", "kind": "openai.compaction", "providerMetadata": {"openai": {}}}
REASONING_FILE: Final = {"type": "reasoning-file", "mediaType": "image/png", "url": PIXEL}
STEERING: Final = {
    "type": "steering-message",
    "id": "steer-1",
    "parts": [{"type": "text", "text": "In Celsius, please."}, IMAGE],
}
UNKNOWN: Final = {"type": "hologram", "depth": 3, "parts": [1, None], "text": None}


def tool(state: str, call_id: str = "call_1", *, dynamic: bool = False, **more: Any) -> Any:  # noqa: ANN401 - JSON
    """Return the call of a tool in that state, as a `tool-...` part or a dynamic one."""
    kind: dict[str, Any] = {"type": "dynamic-tool", "toolName": "get.weather"} if dynamic else {}
    part: dict[str, Any] = {
        "type": "tool-getWeather",
        "toolCallId": call_id,
        **kind,
        "state": state,
    }
    if state != "input-streaming":
        part["input"] = {"city": "Kyiv", "days": 3}
    return {**part, **_OF_STATES[state], **more}


_OF_STATES: Final[dict[str, dict[str, Any]]] = {
    "input-streaming": {
        "input": {"city": "Ky"},
        "rawInput": '{"city":"Ky',
        "inputEncoding": "json",
    },
    "input-available": {"title": "Weather", "callProviderMetadata": {"openai": {"itemId": "fc_1"}}},
    "approval-requested": {"approval": {"id": "a1", "isAutomatic": False, "signature": "s"}},
    "approval-responded": {"approval": {"id": "a1", "approved": False, "reason": "Too dear."}},
    "output-available": {"output": {"degrees": 20, "sky": "clear"}},
    "output-error": {"errorText": "No such city.", "input": None, "rawInput": '{"city":'},
    "output-denied": {"approval": {"id": "a1", "approved": False}},
}
STATES: Final = tuple(_OF_STATES)


def assistant(*parts: Any, **members: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return {"id": "msg-Kx4aQ9", "role": "assistant", **members, "parts": list(parts)}


def user(*parts: Any, **members: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return {"id": "msg-u1", "role": "user", **members, "parts": list(parts)}


SAMPLES: Final[dict[str, dict[str, Any]]] = {
    "a question": user({"type": "text", "text": "How warm is it?"}),
    "instructions": {"id": "s", "role": "system", "parts": [TEXT, {"type": "text", "text": "!"}]},
    "a question with files": user({"type": "text", "text": "What is this?"}, IMAGE, PDF, AUDIO),
    "two texts": user({"type": "text", "text": "One"}, {"type": "text", "text": "Two"}),
    "an answer": assistant(STEP, REASONING, TEXT, metadata={"totalTokens": 12, "model": "gpt"}),
    "an answer in two steps": assistant(
        STEP,
        {"type": "text", "text": "Let me "},
        {"type": "text", "text": "look."},
        tool("output-available"),
        tool("output-error", "call_2", dynamic=True),
        STEP,
        TEXT,
        SOURCE_URL,
        SOURCE_DOCUMENT,
    ),
    **{f"a tool with {state}": assistant(STEP, tool(state), STEP, TEXT) for state in STATES},
    **{
        f"a dynamic tool with {state}": assistant(STEP, tool(state, dynamic=True), TEXT)
        for state in STATES
    },
    "an approved call": assistant(
        tool("approval-responded", approval={"id": "a1", "approved": True}), metadata="text"
    ),
    "a preliminary output": assistant(tool("output-available", preliminary=True), TEXT),
    "a text as output": assistant(tool("output-available", output="20 °C\n"), TEXT),
    "no output": assistant({k: v for k, v in tool("output-available").items() if k != "output"}),
    "everything at once": assistant(
        STEP, REASONING, REASONING_FILE, CUSTOM, DATA, STEERING, TEXT, IMAGE, UNKNOWN, metadata=None
    ),
    "a tool of the provider": assistant(
        STEP, TEXT, tool("output-available", providerExecuted=True), TEXT
    ),
    "parts of other versions": assistant(
        UNKNOWN, {"type": "tool-", "toolCallId": "", "state": "?"}
    ),
    "no id": assistant(TEXT, id=""),
    "nothing": assistant(),
}
"""UIMessages by what is special about them."""

_WORDS: Final = st.text(max_size=8)
_VALUES: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | _WORDS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_WORDS, inner, max_size=2),
    max_leaves=5,
)
_TOOLS: Final = st.builds(
    lambda state, call_id, dynamic, given, output, ran: tool(
        state, call_id, dynamic=dynamic, input=given, **output, **ran
    ),
    st.sampled_from(STATES),
    st.sampled_from(["call_1", "call_2", "c:3", ""]),
    st.booleans(),
    _VALUES,
    st.fixed_dictionaries({}, optional={"output": _VALUES}),
    st.sampled_from([{}, {}, {"providerExecuted": True}]),
)
_PARTS: Final = (
    st.builds(lambda text: {"type": "text", "text": text}, _WORDS)
    | st.sampled_from([STEP, STEP, TEXT, REASONING, IMAGE, PDF, AUDIO, SOURCE_URL, DATA, CUSTOM])
    | st.sampled_from([SOURCE_DOCUMENT, REASONING_FILE, STEERING, UNKNOWN])
    | _TOOLS
    | st.builds(lambda name, data: {"type": f"data-{name}", "data": data}, _WORDS, _VALUES)
)
UI_MESSAGES: Final[st.SearchStrategy[dict[str, Any]]] = st.fixed_dictionaries(
    {
        "id": st.text(max_size=20),
        "role": st.sampled_from(["user", "assistant", "assistant", "system"]),
        "parts": st.lists(_PARTS, max_size=8),
    },
    optional={"metadata": _VALUES, "createdAt": st.just("2026-01-01T12:00:00.000Z")},
)
