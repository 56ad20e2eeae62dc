"""The soft limit: a long conversation is warned about, and never stopped."""

from tests.api.builders import an_id, appended, at, listed, numbered, says, started
from tests.support.application import Caller, serving, settings

WARNING = "Chatkeep-Warning"


async def test_a_conversation_that_grows_long_is_told_so_and_goes_on() -> None:
    async with serving(settings(soft_max_conversation_messages=3)) as service:
        alice = service.user("alice")
        conversation = await started(alice, *numbered(2))
        path = at(conversation, "messages")

        third = await alice.post(path, json=says("third"))
        fourth = await alice.post(path, json=says("fourth", id=an_id()))
        both = await alice.post(path, json={"messages": numbered(2)})

        assert (third.status_code, WARNING in third.headers) == (201, False)
        for response, count in ((fourth, 4), (both, 6)):
            assert response.status_code == 201
            assert response.headers[WARNING] == (
                f"the conversation has {count} messages; at most 3 are recommended "
                "(CHATKEEP_SOFT_MAX_CONVERSATION_MESSAGES)"
            )
        assert len(await listed(alice, path)) == 6
        other = await alice.post(at(await started(alice), "messages"), json=says("short"))
        assert WARNING not in other.headers
        metrics = (await service.nobody().get("/metrics")).text
        assert "chatkeep_soft_limit_warnings_total 2.0" in metrics


async def test_zero_switches_the_warning_off() -> None:
    async with serving(settings(soft_max_conversation_messages=0)) as service:
        alice = service.user("alice")
        conversation = await started(alice)
        for _ in range(11):
            await appended(alice, conversation, *numbered(100))

        response = await alice.post(at(conversation, "messages"), json=says("one more"))

        assert WARNING not in response.headers
        assert (await alice.get(at(conversation))).json()["message_count"] == 1_101


async def test_a_thousand_messages_are_advised_unless_set(alice: Caller) -> None:
    conversation = await started(alice)
    for _ in range(10):
        await appended(alice, conversation, *numbered(100))

    response = await alice.post(at(conversation, "messages"), json=says("one more"))

    assert "1001 messages; at most 1000" in response.headers[WARNING]
