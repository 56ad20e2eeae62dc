"""What the unmodified Agents SDK keeps in a conversation of the service."""

import json
from collections.abc import AsyncIterator
from typing import Any

import openai
from agents import (
    Agent,
    Model,
    ModelResponse,
    OpenAIConversationsSession,
    Runner,
    Usage,
    function_tool,
    set_tracing_disabled,
)
from openai.types.responses import (
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
    ResponseReasoningItem,
)

from checks import ALICE, API, equal, run

set_tracing_disabled(disabled=True)


class Scripted(Model):
    """A model that calls a tool twice at once and then tells what it was answered."""

    def __init__(self) -> None:
        self.inputs: list[list[Any]] = []

    async def get_response(
        self,
        system_instructions: Any,
        input: Any,  # noqa: A002 - the SDK's
        model_settings: Any,
        tools: Any,
        *_: Any,
        **__: Any,
    ) -> Any:
        self.inputs.append(json.loads(json.dumps(input)))
        turn = len(self.inputs)
        results = [each for each in input if each.get("type") == "function_call_output"]
        output: list[Any]
        if tools and input[-1].get("type") != "function_call_output":
            output = [
                ResponseReasoningItem(id=f"rs_{turn}", type="reasoning", summary=[]),
                *(
                    ResponseFunctionToolCall(
                        id=f"fc_{turn}_{city}",
                        call_id=f"call_{turn}_{city}",
                        name="weather",
                        arguments=json.dumps({"city": city}),
                        type="function_call",
                        status="completed",
                    )
                    for city in ("Kyiv", "Lviv")
                ),
            ]
        else:
            text = " and ".join(each["output"] for each in results[-2:])
            part = ResponseOutputText(text=text, type="output_text", annotations=[], logprobs=[])
            output = [
                ResponseOutputMessage(
                    id=f"msg_{turn}",
                    role="assistant",
                    status="completed",
                    type="message",
                    content=[part],
                )
            ]
        return ModelResponse(output=output, usage=Usage(), response_id=None)

    def stream_response(self, *_: Any, **__: Any) -> AsyncIterator[Any]:
        raise NotImplementedError


@function_tool
def weather(city: str) -> str:
    return f"sunny in {city} \x00\U0001f9f5"


def a_session(client: Any) -> Any:
    return OpenAIConversationsSession(openai_client=client)


async def check_a_run_goes_on_where_the_last_one_ended(client: Any) -> None:
    model = Scripted()
    agent = Agent(name="a", model=model, tools=[weather])
    session = a_session(client)

    first = await Runner.run(agent, "Weather?", session=session)
    second = await Runner.run(agent, "And now?", session=session)

    answer = "sunny in Kyiv \x00\U0001f9f5 and sunny in Lviv \x00\U0001f9f5"
    assert first.final_output == second.final_output == answer
    kinds = [item.get("type", "message") for item in await session.get_items()]
    turn = ["message", "reasoning", *["function_call"] * 2, *["function_call_output"] * 2]
    assert kinds == [*turn, "message"] * 2, kinds
    # The last input of the model is all that was kept, but for what it answered.
    kept = [item.get("call_id") for item in model.inputs[-1] if "call_id" in item]
    assert len(kept) == 8, model.inputs[-1]


async def check_items_are_read_by_number(client: Any) -> None:
    session = a_session(client)
    items = [{"role": "user", "content": str(n)} for n in range(60)]
    await session.add_items(items)

    def texts(found: list[Any]) -> list[str]:
        return [each["content"][0]["text"] for each in found]

    everything = [str(n) for n in range(60)]
    equal(texts(await session.get_items()), everything)
    for limit in (1, 7, 20, 59, 60, 100):
        equal(texts(await session.get_items(limit)), everything[-limit:])


async def check_the_last_item_is_popped(client: Any) -> None:
    session = a_session(client)
    await session.add_items([{"role": "user", "content": str(n)} for n in range(3)])

    popped = [await session.pop_item() for _ in range(4)]

    assert [each and each["content"][0]["text"] for each in popped] == ["2", "1", "0", None]
    assert await session.get_items() == []


async def check_a_cleared_session_starts_anew(client: Any) -> None:
    session = a_session(client)
    await session.add_items([{"role": "user", "content": "hello"}])
    before = session.session_id

    await session.clear_session()

    assert await session.get_items() == []
    assert session.session_id != before


async def check_what_was_read_can_be_added_again(client: Any) -> None:
    session, copy = a_session(client), a_session(client)
    await Runner.run(Agent(name="a", model=Scripted(), tools=[weather]), "Hi", session=session)
    items = await session.get_items()

    await copy.add_items(items)

    equal(await copy.get_items(), items)


if __name__ == "__main__":
    run(
        globals(),
        {"async": (openai.AsyncOpenAI(base_url=API, api_key=ALICE, max_retries=0),)},
    )
