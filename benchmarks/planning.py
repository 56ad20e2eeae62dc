"""Builds the plans of loads."""

from collections.abc import Sequence
from typing import Final

from benchmarks.plan import Plan
from benchmarks.programs import BATCH, Call, Conversation, Operation, Program
from benchmarks.texts import texts

MESSAGE: Final = b'"role":'
CONVERSATION: Final = b'"updated_at":'


def plan(program: Program, operation: Operation, conversations: Sequence[Conversation]) -> Plan:
    """Return the plan to run `operation` on each of the conversations in turn."""
    per_operation = BATCH if operation is Operation.BATCH else 1
    contents = texts(len(conversations) * per_operation, seed=7)
    return build_plan(
        [
            program.calls(operation, at, contents[index * per_operation :][:per_operation])
            for index, at in enumerate(conversations)
        ],
        marker=CONVERSATION if operation is Operation.LIST else MESSAGE,
    )


def build_plan(operations: Sequence[Sequence[Call]], *, marker: bytes = MESSAGE) -> Plan:
    """Return the plan for operations with equal numbers of calls.

    A response must contain `marker` once for each item.
    """
    calls = [call for operation in operations for call in operation]
    return Plan(
        requests=tuple(call.encode() for call in calls),
        marker=marker,
        counts=frozenset(call.items for call in calls),
        calls=len(operations[0]),
    )
