"""Text ids on Postgres: keys that SQL can derive too, and statements that others do not pay for."""

from typing import Any

import pytest

from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.log_append_statements import APPEND_PLAIN, APPEND_WHOLE
from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.adapters.piccolo.text_ids import conversation_key, message_key
from chatkeep.domain.ids import of_conversation, of_user, parse_id
from chatkeep.domain.model import UserId
from chatkeep.domain.operations.selftest.builders import new_message
from chatkeep.domain.operations.selftest.store import StoreUnderTest
from chatkeep.testing.builders import numbered_messages
from tests.support.postgres import replace_run

KEYS = Statement(
    "tests.keys",
    f"""
SELECT given.user_id, given.text,
       {conversation_key("given.user_id", "given.text")} AS conversation,
       {message_key(conversation_key("given.user_id", "given.text"), "given.text")} AS message
FROM unnest(:user_ids::text[], :texts::text[]) AS given (user_id, text)""",
)
TEXTS = ["a", "chat/42", "\ufdd0\ufffe", "e\u0301", "é", "🧵" * 255, "\\x00", " ", "{NULL}"]


async def test_sql_derives_the_same_keys(engine: Engine) -> None:
    texts = [*TEXTS, *(chr(code) + "x" for code in (*range(0x20, 0x7F), *range(0xA0, 0x2FF)))]
    texts += [chr(code) for code in range(0x300, 0x11_0000, 1_009) if not 0xD800 <= code < 0xE000]
    users = [UserId(each) for each in ("alice", "ali\ufdd0ce", "Åsa 🧵")]
    pairs = [(user, text) for user in users for text in texts]

    rows = await engine.fetch(
        KEYS, user_ids=[user for user, _ in pairs], texts=[text for _, text in pairs]
    )

    assert len(rows) == len(pairs)
    for row in rows:
        given = parse_id(row["text"])
        conversation = of_user(row["user_id"], given)
        assert row["conversation"] == conversation
        assert row["message"] == of_conversation(conversation, given)


@pytest.mark.parametrize("count", [1, 3])
async def test_an_append_pays_for_text_ids_only_if_it_has_one(
    postgres_store: StoreUnderTest, engine: Engine, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    conversation = await postgres_store.start()
    sent: list[str] = []
    run = engine.run

    async def noting(name: str, *args: Any) -> Any:  # noqa: ANN401 - the engine's
        sent.append(name)
        return await run(name, *args)

    replace_run(engine, monkeypatch, noting)
    await postgres_store.append(conversation, *numbered_messages(count))
    named = of_conversation(conversation.id, parse_id("named"))
    await postgres_store.append(
        conversation, *numbered_messages(count - 1), new_message("named", id=named)
    )

    plain, whole = (
        (APPEND_PLAIN.one, APPEND_WHOLE.one)
        if count == 1
        else (APPEND_PLAIN.many, APPEND_WHOLE.many)
    )
    assert sent == [plain.name, whole.name]
    assert "text_id" not in plain.sql
