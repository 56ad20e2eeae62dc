"""The promises, exercised for real in transactions that are rolled back."""

from collections.abc import AsyncGenerator
from typing import Final
from uuid import UUID, uuid4

import asyncpg

from chatkeep.adapters.operator.doctor.rollback_session import HeldConnection, Patient
from chatkeep.adapters.piccolo.errors import describe
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
CONVERSATION: Final = "INSERT INTO conversations (user_id) VALUES ($1) RETURNING id"
MESSAGE: Final = """
INSERT INTO messages (conversation_id, user_id, role, content)
VALUES ($1, $2, $3, $4) RETURNING position"""
ITEM: Final = """
INSERT INTO conversation_items (conversation_id, user_id, position, item_id, item)
VALUES ($1, $2, 1, 'item', '{}')"""
KEY: Final = """
INSERT INTO conversation_keys (conversation_id, user_id, key, digest, first_position, last_position)
VALUES ($1, $2, 'key', 'digest', 1, 1)"""
STATUS: Final = "UPDATE conversations SET status = 'unheard of' WHERE id = $1 AND user_id = $2"

_MEND: Final = "mend what failed above; if nothing did, what the triggers and rules do"


async def provisioning(patient: Patient) -> AsyncGenerator[Finding, None]:
    """Whether `users` takes a row with only an id: on users' first write, if settings say so."""
    user = _nobody()
    try:
        async with patient.rehearsing() as engine:
            await PiccoloUsers(engine).add(user)
    except (UserNotProvisionedError, asyncpg.InsufficientPrivilegeError) as error:
        why = describe(error.__cause__ or error)
        if patient.provision_users:
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
        patient.failed.add(PROVISIONING)
    except asyncpg.UndefinedTableError:
        yield skipped("there is no table users")
        patient.failed.add(PROVISIONING)
    else:
        yield ok("the table users takes new users")


async def promises(patient: Patient) -> AsyncGenerator[Finding, None]:
    for name, scenario in PROMISES.items():
        yield await _try(patient, name, scenario)
    yield await _try(patient, PLAIN, None)


async def _try(patient: Patient, name: str, scenario: Scenario | None) -> Finding:
    lost = patient.connection.is_closed()
    if lost or PROVISIONING in patient.failed:
        why = "the connection was lost" if lost else "a new user is needed, and could not be added"
        return skipped(why, subject=name)
    try:
        async with patient.rehearsing() as engine:
            store = await _store(patient, engine)
            seen = await (scenario(store) if scenario else _plain(engine, store))
    except BrokenPromiseError as broken:
        return failed(str(broken), _MEND, subject=name)
    except Exception as error:  # noqa: BLE001 - the other promises are tried all the same
        if patient.foretold(error):
            return skipped(f"needs what is missing: {describe(error)}", subject=name)
        refused = "what should be taken was refused: " if isinstance(error, ChatkeepError) else ""
        return failed(f"{refused}{describe(error)}", _MEND, subject=name)
    return ok(seen, subject=name)


async def _store(patient: Patient, engine: HeldConnection) -> StoreUnderTest:
    store = StoreUnderTest.of(
        stores(engine), user=_nobody(), stranger=_nobody(), at=patient.clock.now()
    )
    await store.users.add(store.user)
    await store.users.add(store.stranger)
    return store


async def _plain(engine: HeldConnection, store: StoreUnderTest) -> str:
    """Take what is written by hand, and have the database itself refuse what must not be."""
    [row] = await engine.fetch(CONVERSATION, store.user)
    conversation: UUID = row["id"]
    positions = [
        await engine.fetch(MESSAGE, conversation, store.user, "user", "by hand") for _ in range(2)
    ]
    if not all(positions) or positions[0][0]["position"] >= positions[1][0]["position"]:
        raise BrokenPromiseError("messages that are inserted by hand are not in order")
    integrity = asyncpg.IntegrityConstraintViolationError
    refused = (
        ("a message without a conversation", (MESSAGE, uuid4(), store.user, "user", "lost")),
        (
            "a message in another user's conversation",
            (MESSAGE, conversation, store.stranger, "user", "not mine"),
        ),
        ("an item without a conversation", (ITEM, uuid4(), store.user)),
        ("an item in another user's conversation", (ITEM, conversation, store.stranger)),
        ("a key without a conversation", (KEY, uuid4(), store.user)),
        ("a conversation without a user", (CONVERSATION, _nobody())),
        ("a message of no known role", (MESSAGE, conversation, store.user, "robot", "beep")),
        ("a message of nothing", (MESSAGE, conversation, store.user, "user", None)),
        ("a status that there is not", (STATUS, conversation, store.user)),
    )
    for what, (statement, *arguments) in refused:
        try:
            await engine.fetch(statement, *arguments)
        except integrity:
            continue
        raise BrokenPromiseError(f"the database did not refuse {what}")
    return f"rows by hand were taken, {len(refused)} that must not be were refused"


def _nobody() -> UserId:
    return UserId(f"doctor-{uuid4().hex[:12]}")  # short: ids of another application may have to be
