"""The recipe for LangChain runs as it is written."""

from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolCall, ToolMessage

from chatkeep_client.testing import MemoryService


def test_the_recipe_of_the_page_keeps_messages(
    service: MemoryService, capsys: pytest.CaptureFixture[str], run_example: Callable[..., Any]
) -> None:
    names = run_example("ChatkeepHistory", URL=service.url, KEY=service.service_key)
    assert "2 messages" in capsys.readouterr().out
    with service.client("bob") as bob:
        history = names["ChatkeepHistory"](bob, "c")
        call = ToolCall(name="menu", args={"day": None}, id="1")
        messages = [
            SystemMessage("Be brief."),
            HumanMessage("Is there soup? 🍲"),
            AIMessage("", tool_calls=[call]),
            ToolMessage("soup", tool_call_id="1"),
        ]
        history.add_messages(messages)
        assert history.messages == messages
        assert [each.role for each in bob.iter_history("c")][:2] == ["system", "user"]
        history.clear()
        assert history.messages == []
