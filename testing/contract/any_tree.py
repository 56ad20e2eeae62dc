"""Whatever is done to a conversation in whatever order, every branch reads as a simple model says.

The model keeps the whole path of each branch as a list, and knows nothing of ranges or positions.
"""

from collections.abc import Iterator
from typing import NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatkeep.domain.branches import EVERY, MAIN
from chatkeep.domain.context import select
from chatkeep.domain.errors import BranchIsCurrentError, SharedByBranchesError
from chatkeep.domain.log import Bounds, View
from chatkeep.domain.model import BranchNumber, Order
from chatkeep.domain.operations.selftest.builders import new_message
from chatkeep.domain.operations.selftest.store import StoreUnderTest
from chatkeep.domain.places import AtTip
from chatkeep.testing.builders import contents, error_of
from chatkeep.testing.contract.branches import Chat

ACTIONS = (
    *("say", "say several", "say after", "say after", "say after", "say first", "say at a tip"),
    *(
        "say a start",
        "put a start",
        "put",
        "put a new one",
        "delete",
        "truncate",
        "truncate with it",
        "replace",
    ),
    *("switch", "delete a branch", "delete a branch", "rename"),
)


class Step(NamedTuple):
    """An action. `which` chooses the message or the branch that it is about."""

    action: str
    which: int


# Fewer steps seldom leave a branch at several places.
steps = st.lists(
    st.builds(Step, st.sampled_from(ACTIONS), st.integers(min_value=0, max_value=30)),
    min_size=15,
    max_size=30,
)


class Model:
    """The expected content of a conversation: the messages of each branch, by their contents."""

    def __init__(self) -> None:
        self.paths: dict[BranchNumber, list[str]] = {MAIN: []}
        self.current = MAIN
        self.written: list[str] = []
        self.starts: set[str] = set()
        self.names = (f"m{number}" for number in range(1_000))

    def choose_message(self, which: int) -> str | None:
        return self.written[which % len(self.written)] if self.written else None

    def choose_on_path(self, which: int) -> str | None:
        path = self.paths[self.current]
        return path[which % len(path)] if path else None

    def choose_branch(self, which: int) -> BranchNumber:
        return sorted(self.paths)[which % len(self.paths)]

    def up_to(self, message: str | None) -> list[str]:
        """Return the path to a message: it is the same on every branch that has the message."""
        if message is None:
            return []
        path = next(path for path in self.paths.values() if message in path)
        return path[: path.index(message) + 1]

    def add(self, branch: BranchNumber, *messages: str) -> None:
        self.paths[branch] += messages
        self.written += messages
        self.current = branch

    def add_after(self, place: str | None, branch: BranchNumber, message: str) -> None:
        """Add a message where the store did, and check that the branch is a right one."""
        is_tip = self.paths[self.current][-1:] == ([] if place is None else [place])
        assert (branch == self.current) is is_tip
        if branch in self.paths:
            assert self.paths[branch][-1:] == ([] if place is None else [place])
        else:
            assert branch == max(self.paths) + 1
            self.paths[branch] = self.up_to(place)
        self.add(branch, message)

    def remove(self, *messages: str) -> None:
        for path in (self.written, *self.paths.values()):
            path[:] = [each for each in path if each not in messages]

    def rename(self, message: str, name: str) -> None:
        for path in (self.written, *self.paths.values()):
            path[:] = [name if each == message else each for each in path]

    def behind(self, message: str) -> list[str]:
        path = self.paths[self.current]
        return path[path.index(message) + 1 :]

    def are_shared(self, messages: list[str]) -> bool:
        others = (path for number, path in self.paths.items() if number != self.current)
        return any(each in path for path in others for each in messages)

    def remove_branch(self, branch: BranchNumber) -> None:
        gone = self.paths.pop(branch)
        kept = {each for path in self.paths.values() for each in path}
        self.remove(*(each for each in gone if each not in kept))


async def take(step: Step, chat: Chat, model: Model) -> None:
    """Do the same to the store and to the model."""
    action, which = step
    name = next(model.names)
    match action.split():
        case ["say"]:
            await chat.say(name)
            model.add(model.current, name)
        case ["say", "a", "start"]:
            await chat.append(new_message(name)._replace(starts_context=True))
            model.add(model.current, name)
            model.starts.add(name)
        case ["say", "several"]:
            names = [name, next(model.names), next(model.names)]
            await chat.say(*names)
            model.add(model.current, *names)
        case ["say", "at", "a", "tip"]:
            branch = model.choose_branch(which)
            await chat.say(name, place=AtTip(branch))
            model.add(branch, name)
        case ["say", "after" | "first" as where]:
            place = model.choose_message(which) if where == "after" else None
            found = await chat.say_after(place, name)
            model.add_after(place, MAIN if found is None else found, name)
        case ["put", *_]:
            replaced = None if action == "put a new one" else model.choose_message(which)
            await put(chat, model, replaced, name, is_start=action == "put a start")
        case ["delete"]:
            if message := model.choose_message(which):
                await chat.delete(message)
                model.remove(message)
        case ["truncate" | "replace", *_]:
            await cut(action, which, chat, model, name)
        case _:
            await change_branch(action, model.choose_branch(which), chat, model)


async def put(chat: Chat, model: Model, message: str | None, name: str, *, is_start: bool) -> None:
    new = new_message(name)._replace(starts_context=is_start)
    if is_start:
        model.starts.add(name)
    if message is not None:
        new = new._replace(id=chat.ids[message])
    stored = await chat.store.put(chat.conversation, new)
    chat.ids[name] = stored.message.id
    assert stored.created is (message is None)
    if message is None:
        model.add(model.current, name)
    else:
        model.rename(message, name)


async def cut(action: str, which: int, chat: Chat, model: Model, name: str) -> None:
    """Truncate the current branch or replace its end, unless other branches share that end."""
    message = model.choose_on_path(which)
    if message is None:
        return
    gone = model.behind(message)
    if action == "replace":
        error = await error_of(chat.replace(message, gone, name))
    else:
        keep = action == "truncate"
        gone = gone if keep else [message, *gone]
        error = await error_of(chat.store.truncate(chat.conversation, chat.ids[message], keep=keep))
    if error is not None:
        # A branch also shares the place where it left, even if nothing is left there.
        assert isinstance(error, SharedByBranchesError)
        assert len(model.paths) > 1
        return
    assert not model.are_shared(gone)
    model.remove(*gone)
    if action == "replace":
        model.add(model.current, name)


async def change_branch(action: str, branch: BranchNumber, chat: Chat, model: Model) -> None:
    if action == "switch":
        await chat.switch(branch)
        model.current = branch
    elif action == "rename":
        await chat.store.log.change_branches(
            chat.conversation.user_id,
            chat.conversation.id,
            lambda tree: tree.rename(branch, f"branch {branch}"),
        )
    else:
        error = await error_of(chat.delete_branch(branch))
        if branch == model.current:
            assert isinstance(error, BranchIsCurrentError)
        else:
            assert error is None
            model.remove_branch(branch)


async def check(chat: Chat, model: Model) -> None:
    """Compare all branches, the whole log and its number of messages."""
    for number, path in model.paths.items():
        assert await chat.read(number) == " ".join(path)
    assert await chat.read() == " ".join(model.paths[model.current])
    assert await chat.read(EVERY) == " ".join(model.written)
    assert (await chat.store.reload(chat.conversation)).message_count == len(model.written)
    tree = await chat.store.log.tree(chat.conversation.user_id, chat.conversation.id)
    assert (tree.current, sorted(tree.branches)) == (model.current, sorted(model.paths))


def borders(path: list[str], limit: int) -> Iterator[list[str]]:
    for start in range(0, max(1, len(path)), limit):
        yield path[start : start + limit]


async def check_pages(chat: Chat, model: Model, limit: int) -> None:
    """Page through every branch in both directions, and read the window of each."""
    for number, path in model.paths.items():
        for order in Order:
            wanted = path if order is Order.ASC else path[::-1]
            bounds = Bounds()
            for page in borders(wanted, limit):
                found, more = await chat.page(number, order=order, bounds=bounds, limit=limit)
                assert contents(found) == page
                assert more is (bool(page) and page[-1] != wanted[-1])
                await check_parents(chat, path, number, order, bounds, limit)
                if found:
                    last = found[-1].position
                    bounds = Bounds(after=last) if order is Order.ASC else Bounds(before=last)
        await check_context(chat, model, number, limit)


async def check_parents(  # noqa: PLR0913, PLR0917 - the parts of a page
    chat: Chat, path: list[str], branch: BranchNumber, order: Order, bounds: Bounds, limit: int
) -> None:
    """Compare a page with the plain one, and check what comes before each and who wrote it."""
    user, its_id = chat.conversation.user_id, chat.conversation.id
    plain, more = await chat.page(branch, order=order, bounds=bounds, limit=limit)
    page = await chat.store.log.branch_page(
        user, its_id, bounds, view=View.MESSAGES, order=order, limit=limit, branch=branch
    )
    assert ([each.message for each in page.items], page.more) == (plain, more)
    tree = await chat.store.log.tree(user, its_id)
    for each in page.items:
        at = path.index(each.message.content or "")
        assert each.parent_id == (chat.ids[path[at - 1]] if at else None)
        assert each.branch == tree.writer(each.message.position)


async def check_context(chat: Chat, model: Model, branch: BranchNumber, limit: int) -> None:
    window = await chat.store.log.window(
        chat.conversation.user_id, chat.conversation.id, limit=limit, branch=branch
    )
    path = model.paths[branch]
    assert contents(window.tail) == path[-limit:]
    latest = max(0, len(path) - limit)
    start = max((at for at, name in enumerate(path) if name in model.starts), default=None)
    context = select(window)
    found = (contents(context.messages), context.truncated, context.replaced)
    if start is None:
        assert found == (path[latest:], latest > 0, 0)
    elif start >= latest:
        assert found == (path[start:], False, start)
    else:
        assert found == ([path[start], *path[latest:]], start + 1 < latest, start)


# All examples share the store on purpose: each has a conversation to itself.
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps, limit=st.integers(min_value=1, max_value=4))
async def test_every_branch_is_what_was_done_to_it(
    store: StoreUnderTest, steps: list[Step], limit: int
) -> None:
    chat, model = await Chat.start(store), Model()

    for step in steps:
        await take(step, chat, model)
        await check(chat, model)

    await check_pages(chat, model, limit)
