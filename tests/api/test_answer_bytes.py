"""Answers are bounded in bytes: `CHATKEEP_MAX_ANSWER_BYTES`."""

from tests.api.builders import CONVERSATIONS, at, says, started
from tests.support.application import serving, settings

LONG = 800
"""Characters, of which there is room for three."""


async def test_a_page_ends_early_with_a_cursor_that_leads_on() -> None:
    async with serving(settings(max_answer_bytes=3_000)) as service:
        alice = service.user()
        sent = [f"{n}".ljust(LONG) for n in range(8)]
        conversation = await started(alice, *map(says, sent))
        path = at(conversation, "messages")
        found, sizes = [], []
        cursor: dict[str, str] = {}
        while True:
            page = (await alice.get(path, params={"limit": 5, **cursor})).json()
            found += [message["content"] for message in page["items"]]
            sizes.append(len(page["items"]))
            if page["next_cursor"] is None:
                break
            cursor = {"cursor": page["next_cursor"]}

        assert found == sent
        assert sizes == [3, 3, 2]


async def test_a_context_leaves_out_the_oldest_and_says_so() -> None:
    async with serving(settings(max_answer_bytes=6_000)) as service:
        alice = service.user()
        sent = [says(f"{n}".ljust(LONG)) for n in range(8)]
        conversation = await started(alice, says("Be kind.", "system"), *sent)

        alone = (await alice.get(at(conversation, "context"))).json()
        new = says("new".ljust(LONG))
        appended = await alice.post(at(conversation, "messages?context=20"), json=new)

        kind = {"role": "system", "content": "Be kind."}
        for context, latest in (
            (alone, sent[-3:]),
            (appended.json()["context"], [*sent[-2:], new]),
        ):
            assert context["messages"] == [kind, *latest]
            assert context["truncated"]


async def test_lists_and_pages_of_openai_say_that_there_is_more() -> None:
    async with serving(settings(max_answer_bytes=3_000)) as service:
        alice = service.user()
        path = "/openai/v1/conversations"
        items = [{"role": "user", "content": f"{n}".ljust(LONG)} for n in range(4)]
        made = (await alice.post(path, json={"items": items})).json()
        for _ in range(4):
            note = {"note": "x" * 500, "more": "x" * 500}
            await alice.post(path, json={"metadata": note})

        first = (await alice.get(f"{path}/{made['id']}/items", params={"order": "asc"})).json()
        rest = await alice.get(
            f"{path}/{made['id']}/items", params={"order": "asc", "after": first["last_id"]}
        )
        listed = (await alice.get(path)).json()
        natively = (await alice.get(CONVERSATIONS)).json()

        assert (len(first["data"]), first["has_more"]) == (3, True)
        assert (len(rest.json()["data"]), rest.json()["has_more"]) == (1, False)
        assert (len(listed["data"]), listed["has_more"]) == (2, True)
        assert len(natively["items"]) == 2
        assert natively["next_cursor"]


async def test_zero_switches_the_bound_off() -> None:
    async with serving(settings(max_answer_bytes=0)) as service:
        alice = service.user()
        conversation = await started(alice, *(says("x" * LONG) for _ in range(9)))

        page = (await alice.get(at(conversation, "messages"))).json()

        assert (len(page["items"]), page["next_cursor"]) == (9, None)
