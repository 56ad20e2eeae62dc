"""The promises, exercised for real in transactions that are rolled back."""

from collections.abc import AsyncGenerator, Mapping
from typing import Final
from uuid import uuid4

import asyncpg

from chatkeep.adapters.operator.doctor.rollback_session import RollbackSession, SessionEngine
from chatkeep.adapters.piccolo.errors import describe
from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.adapters.piccolo.stores import stores
from chatkeep.adapters.piccolo.users import PiccoloUsers
from chatkeep.domain.errors import ChatkeepError, UserNotProvisionedError
from chatkeep.domain.model import UserId
from chatkeep.domain.operations.diagnostics import Finding, failed, ok, skipped, warning
from chatkeep.domain.operations.selftest.checks import BrokenPromiseError
from chatkeep.domain.operations.selftest.promises import PROMISES, Scenario
from chatkeep.domain.operations.selftest.store import StoreUnderTest

PROVISIONING: Final = "users"
PLAIN: Final = "plain"

# What people write by hand: only what has no default.
CONVERSATION: Final = Statement(
    "doctor.insert_conversation",
    "INSERT INTO conversations (user_id) VALUES (:user_id) RETURNING id",
)
MESSAGE: Final = Statement(
    "doctor.insert_message",
    """
INSERT INTO messages (conversation_id, user_id, role, content)
VALUES (:conversation_id, :user_id, :role, :content) RETURNING position""",
)
ITEM: Final = Statement(
    "doctor.insert_item",
    """
INSERT INTO conversation_items (conversation_id, user_id, position, item_id, item)
VALUES (:conversation_id, :user_id, 1, 'item', '{}')""",
)
KEY: Final = Statement(
    "doctor.insert_key",
    """
INSERT INTO conversation_keys (conversation_id, user_id, key, digest, first_position, last_position)
VALUES (:conversation_id, :user_id, 'key', 'digest', 1, 1)""",
)
STATUS: Final = Statement(
    "doctor.unknown_status",
    "UPDATE conversations SET status = 'unheard of' "
    "WHERE id = :conversation_id AND user_id = :user_id",
)

_MEND: Final = "mend what failed above; if nothing did, what the triggers and rules do"


async def provisioning(session: RollbackSession) -> AsyncGenerator[Finding, None]:
    """Whether `users` takes a row with only an id: on users' first write, if settings say so."""
    user = _nobody()
    try:
        async with session.rolling_back() as engine:
            await PiccoloUsers(engine).add(user)
    except (UserNotProvisionedError, asyncpg.InsufficientPrivilegeError) as error:
        why = describe(error.__cause__ or error)
        if session.provision_users:
            yield failed(
                f"the table users takes no row with only an id: {why}",
                "give its other columns defaults, or let your application add users "
                "(CHATKEEP_PROVISION_USERS=false)",
            )
        else:
            yield warning(
                f"users are added by your application only: {why}",
                "nothing, if it adds them before they write; the promises cannot be tried",
            )
        session.failed.add(PROVISIONING)
    except asyncpg.UndefinedTableError:
        yield skipped("there is no table users")
        session.failed.add(PROVISIONING)
    else:
        yield ok("the table users takes new users")


async def promises(session: RollbackSession) -> AsyncGenerator[Finding, None]:
    for name, scenario in PROMISES.items():
        yield await _try(session, name, scenario)
    yield await _try(session, PLAIN, None)


async def _try(session: RollbackSession, name: str, scenario: Scenario | None) -> Finding:
    lost = session.connection.is_closed()
    if lost or PROVISIONING in session.failed:
        why = "the connection was lost" if lost else "a new user is needed, and could not be added"
        return skipped(why, subject=name)
    try:
        async with session.rolling_back() as engine:
            store = await _store(session, engine)
            seen = await (scenario(store) if scenario else _plain(engine, store))
    except BrokenPromiseError as broken:
        return failed(str(broken), _MEND, subject=name)
    except Exception as error:  # noqa: BLE001 - the other promises are tried all the same
        if session.is_consequence(error):
            return skipped(f"needs what is missing: {describe(error)}", subject=name)
        refused = "what should be taken was refused: " if isinstance(error, ChatkeepError) else ""
        return failed(f"{refused}{describe(error)}", _MEND, subject=name)
    return ok(seen, subject=name)


async def _store(session: RollbackSession, engine: SessionEngine) -> StoreUnderTest:
    store = StoreUnderTest.of(
        stores(engine), user=_nobody(), stranger=_nobody(), at=session.clock.now()
    )
    await store.users.add(store.user)
    await store.users.add(store.stranger)
    return store


async def _plain(engine: SessionEngine, store: StoreUnderTest) -> str:
    """Take what is written by hand, and have the database itself refuse what must not be."""
    mine, stranger, nobody = ({"user_id": each} for each in (store.user, store.stranger, _nobody()))
    [row] = await engine.fetch(CONVERSATION, **mine)
    in_it, lost = {"conversation_id": row["id"]}, {"conversation_id": uuid4()}
    said = {"role": "user", "content": "by hand"}
    positions = [await engine.fetch(MESSAGE, **in_it, **mine, **said) for _ in range(2)]
    if not all(positions) or positions[0][0]["position"] >= positions[1][0]["position"]:
        raise BrokenPromiseError("messages that are inserted by hand are not in order")
    refused: tuple[tuple[str, Statement, Mapping[str, object]], ...] = (
        ("a message without a conversation", MESSAGE, {**lost, **mine, **said}),
        ("a message in another user's conversation", MESSAGE, {**in_it, **stranger, **said}),
        ("an item without a conversation", ITEM, {**lost, **mine}),
        ("an item in another user's conversation", ITEM, {**in_it, **stranger}),
        ("a key without a conversation", KEY, {**lost, **mine}),
        ("a conversation without a user", CONVERSATION, nobody),
        ("a message of no known role", MESSAGE, {**in_it, **mine, **said, "role": "robot"}),
        ("a message of nothing", MESSAGE, {**in_it, **mine, **said, "content": None}),
        ("a status that there is not", STATUS, {**in_it, **mine}),
    )
    for what, statement, values in refused:
        try:
            await engine.fetch(statement, **values)
        except asyncpg.IntegrityConstraintViolationError:
            continue
        raise BrokenPromiseError(f"the database did not refuse {what}")
    return f"rows by hand were taken, {len(refused)} that must not be were refused"


def _nobody() -> UserId:
    return UserId(f"doctor-{uuid4().hex[:12]}")  # short: ids of another application may have to be
