"""Exercises the promises on the real tables, in transactions that are rolled back."""

from collections.abc import AsyncGenerator, Mapping
from typing import Final
from uuid import uuid4

import asyncpg

from chatkeep.adapters.operator.doctor.rollback_session import RollbackSession, SessionEngine
from chatkeep.adapters.piccolo.errors import describe
from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.adapters.piccolo.stores import piccolo_stores
from chatkeep.adapters.piccolo.users import PiccoloUsers
from chatkeep.domain.errors import ChatkeepError, UserNotProvisionedError
from chatkeep.domain.model import UserId
from chatkeep.domain.operations.diagnostics import CheckResult, failed, ok, skipped, warning
from chatkeep.domain.operations.selftest.checks import BrokenPromiseError
from chatkeep.domain.operations.selftest.promises import PROMISES, Scenario
from chatkeep.domain.operations.selftest.store import StoreUnderTest

PROVISIONING: Final = "users"
PLAIN: Final = "plain"

# Rows as people insert them by hand: only the columns without a default.
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

_FIX: Final = "fix what failed above; if nothing failed, look at the triggers and rules"


async def check_provisioning(session: RollbackSession) -> AsyncGenerator[CheckResult, None]:
    """Check that `users` accepts a row with only an id, as chatkeep adds it."""
    user = _make_user_id()
    try:
        async with session.begin_rollback() as engine:
            await PiccoloUsers(engine).add(user)
    except (UserNotProvisionedError, asyncpg.InsufficientPrivilegeError) as error:
        why = describe(error.__cause__ or error)
        if session.provision_users:
            yield failed(
                f"the table users does not accept a row with only an id: {why}",
                "give its other columns defaults, or let your application add users "
                "(CHATKEEP_PROVISION_USERS=false)",
            )
        else:
            yield warning(
                f"only your application can add users: {why}",
                "nothing, if it adds them before they write; the promises cannot be tested",
            )
        session.failed.add(PROVISIONING)
    except asyncpg.UndefinedTableError:
        yield skipped("the table users is missing")
        session.failed.add(PROVISIONING)
    else:
        yield ok("the table users accepts new users")


async def check_promises(session: RollbackSession) -> AsyncGenerator[CheckResult, None]:
    for name, scenario in PROMISES.items():
        yield await _check_promise(session, name, scenario)
    yield await _check_promise(session, PLAIN, None)


async def _check_promise(
    session: RollbackSession, name: str, scenario: Scenario | None
) -> CheckResult:
    lost = session.connection.is_closed()
    if lost or PROVISIONING in session.failed:
        why = "the connection was lost" if lost else "it needs a new user, which cannot be added"
        return skipped(why, target=name)
    try:
        async with session.begin_rollback() as engine:
            store = await _prepare_store(session, engine)
            message = await (scenario(store) if scenario else _insert_plain(engine, store))
    except BrokenPromiseError as broken:
        return failed(str(broken), _FIX, target=name)
    except Exception as error:  # noqa: BLE001 - the other promises must still be tested
        if session.is_consequence(error):
            missing = f"something that it needs is missing: {describe(error)}"
            return skipped(missing, target=name)
        refused = "valid data was refused: " if isinstance(error, ChatkeepError) else ""
        return failed(f"{refused}{describe(error)}", _FIX, target=name)
    return ok(message, target=name)


async def _prepare_store(session: RollbackSession, engine: SessionEngine) -> StoreUnderTest:
    store = StoreUnderTest.of(
        piccolo_stores(engine),
        user=_make_user_id(),
        stranger=_make_user_id(),
        at=session.clock.now(),
    )
    await store.users.add(store.user)
    await store.users.add(store.stranger)
    return store


async def _insert_plain(engine: SessionEngine, store: StoreUnderTest) -> str:
    """Insert rows by hand, and check that the database itself refuses invalid ones."""
    owner, stranger, unknown = (
        {"user_id": each} for each in (store.user, store.stranger, _make_user_id())
    )
    [row] = await engine.fetch(CONVERSATION, **owner)
    existing, missing = {"conversation_id": row["id"]}, {"conversation_id": uuid4()}
    text = {"role": "user", "content": "by hand"}
    positions = [await engine.fetch(MESSAGE, **existing, **owner, **text) for _ in range(2)]
    if not all(positions) or positions[0][0]["position"] >= positions[1][0]["position"]:
        raise BrokenPromiseError("messages that are inserted by hand are not in order")
    invalid: tuple[tuple[str, Statement, Mapping[str, object]], ...] = (
        ("a message without a conversation", MESSAGE, {**missing, **owner, **text}),
        ("a message in another user's conversation", MESSAGE, {**existing, **stranger, **text}),
        ("an item without a conversation", ITEM, {**missing, **owner}),
        ("an item in another user's conversation", ITEM, {**existing, **stranger}),
        ("a key without a conversation", KEY, {**missing, **owner}),
        ("a conversation without a user", CONVERSATION, unknown),
        ("a message with an unknown role", MESSAGE, {**existing, **owner, **text, "role": "robot"}),
        ("an empty message", MESSAGE, {**existing, **owner, **text, "content": None}),
        ("an unknown status", STATUS, {**existing, **owner}),
    )
    for what, statement, values in invalid:
        try:
            await engine.fetch(statement, **values)
        except asyncpg.IntegrityConstraintViolationError:
            continue
        raise BrokenPromiseError(f"the database did not refuse {what}")
    return f"rows inserted by hand were accepted, {len(invalid)} invalid ones were refused"


def _make_user_id() -> UserId:
    return UserId(f"doctor-{uuid4().hex[:12]}")  # short: another application may limit its ids
