"""The examples of the OpenAPI document: accepted bodies, and each kind of problem once."""

from typing import Any, Final
from uuid import UUID

from chatkeep.domain.draft_errors import (
    DraftActiveError,
    DraftEndedError,
    DraftGapError,
    DraftSupersededError,
)
from chatkeep.domain.errors import (
    BranchIsCurrentError,
    ChangesForgottenError,
    ConversationNotFoundError,
    DatabaseRuleError,
    LimitExceededError,
    MessageIdTakenError,
    RetainedError,
    RevisionConflictError,
    SuffixDiffersError,
    UserNotProvisionedError,
)
from chatkeep.entrypoints.http.domain_problems import domain_problem
from chatkeep.entrypoints.http.ids import path_too_long
from chatkeep.entrypoints.http.problems import (
    FieldError,
    ProblemError,
    body_too_large,
    internal_error,
    invalid_fields,
)

_CONVERSATION: Final = "01a2018e-5f80-7c3e-8a41-6d1f3c6b9e02"
_MESSAGE: Final = "01a20190-2b4c-7d55-9c0e-0f4c1d2a7b31"
_OTHER_MESSAGE: Final = "01a20191-4a7b-7e12-8f3d-5b8e2c9d6a40"

_QUESTION: Final = {"role": "user", "content": "Where is my order 1043?"}
_CALL: Final = {
    "role": "assistant",
    "content": None,
    "tool_calls": [
        {
            "id": "call_8Wg3",
            "type": "function",
            "function": {"name": "find_order", "arguments": '{"number": 1043}'},
        }
    ],
    "metadata": {"model": "large", "tokens": 41},
}
_RESULT: Final = {"role": "tool", "tool_call_id": "call_8Wg3", "content": '{"status": "shipped"}'}
_ANSWER: Final = {"role": "assistant", "content": "It was shipped this morning."}

PARAMETERS: Final[dict[str, dict[str, Any]]] = {
    "If-Match": {"a revision": '"7"', "one of two": '"7", "8"', "any": "*"},
    "If-None-Match": {"a revision": '"7"'},
    "Idempotency-Key": {"a UUID": "6f1c0a52-0d0b-4f4e-9d5a-2f6d3f1f8a11"},
    "updated_after": {"this year": "2026-01-01T00:00:00Z"},
    "updated_before": {"before a day in Berlin": "2026-11-27T00:00:00+01:00"},
    "q": {
        "words": "order shipped",
        "a phrase": '"shipped this morning"',
        "filters": "order role:assistant after:2026-01-01",
    },
    "metadata": {"one value": {"agent": "support"}, "two": {"agent": "support", "rating": "5"}},
}
"""Examples of parameters and headers, by name."""

BODIES: Final[dict[str, dict[str, Any]]] = {
    "createConversation": {
        "empty": {},
        "with its first messages": {
            "id": _CONVERSATION,
            "title": "Order 1043",
            "metadata": {"channel": "web"},
            "messages": [
                {"role": "system", "content": "You help the customers of a bookshop."},
                _QUESTION,
            ],
        },
    },
    "getOrCreateConversation": {"titled, if it is new": {"title": "Order 1043"}},
    "changeConversation": {
        "rename": {"title": "Where is order 1043?"},
        "archive": {"status": "archived"},
        "other metadata": {"metadata": {"channel": "web", "rating": 5}},
        "put on hold, with a service key": {"retain": True},
    },
    "appendMessages": {
        "one message": _QUESTION,
        "one message, safe to send again": {
            "id": _MESSAGE,
            **_ANSWER,
        },
        "one message with your own document of it": {
            **_ANSWER,
            "tokens": 9,
            "format": "our-bot",
            "original": {"sender": "bot", "said": _ANSWER["content"]},
        },
        "a UIMessage of the AI SDK": {
            "format": "ai-sdk",
            "original": {
                "id": "msg-8",
                "role": "assistant",
                "parts": [{"type": "text", "text": _ANSWER["content"]}],
            },
        },
        "a summary, with which contexts begin from now on": {
            "role": "system",
            "content": "So far: order 1043 was shipped this morning.",
            "starts_context": True,
        },
        "a question about an image": {
            "role": "user",
            "content": [
                {"type": "text", "text": "Is this the right size?"},
                {
                    "type": "image_url",
                    "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="},
                },
            ],
        },
        "a turn with a tool": {"messages": [_QUESTION, _CALL, _RESULT, _ANSWER]},
    },
    "forkConversation": {
        "all of the current branch": {},
        "under another title": {"title": "Order 1043, again", "metadata": {"channel": "mail"}},
    },
    "changeBranch": {
        "rename": {"name": "a shorter answer"},
        "make it the current one": {"is_current": True},
    },
    "startDraft": {
        "an answer": {},
        "one that is safe to start again": {
            "id": "answer-7",
            "metadata": {"model": "large"},
            "lease": 30,
        },
        "chunks of the AI SDK": {"format": "ai-sdk"},
        "in place of the one that is active": {"supersede": True},
    },
    "writeChunks": {
        "pieces of text": {"epoch": 1, "seq": 1, "chunks": ["It was ", "shipped "]},
        "UI message chunks": {
            "epoch": 1,
            "seq": 1,
            "chunks": [{"type": "text-delta", "id": "0", "delta": "this morning."}],
        },
    },
    "finishDraft": {
        "what the chunks make": {"epoch": 1},
        "the whole message": {"epoch": 1, "message": {**_ANSWER, "tokens": 9}},
    },
    "cancelDraft": {"keep what there is": {}, "discard it": {"keep": False}},
    "putMessage": {
        "the answer as it is so far": _ANSWER,
        "an edited question": {"role": "user", "content": "Where is my order 1034?"},
    },
    "patchMessage": {
        "feedback": {"metadata": {"feedback": "up"}},
        "usage, counted later": {"metadata": {"usage": {"output": 17}}, "tokens": 17},
        "no label any more": {"metadata": {"label": None}},
    },
    "replaceMessages": {
        "another answer": {
            "after": _MESSAGE,
            "expected": [_OTHER_MESSAGE],
            "messages": [_ANSWER],
        },
        "a summary of everything": {
            "after": None,
            "expected": [_MESSAGE, _OTHER_MESSAGE],
            "messages": [{"role": "developer", "content": "Order 1043 was shipped."}],
        },
    },
}
"""By operation, then by what the example shows."""

PROBLEMS: Final[tuple[ProblemError, ...]] = (
    ProblemError(400, "malformed-body", "The body is not JSON: trailing characters (byte 3)."),
    ProblemError(
        400,
        "malformed-header",
        'If-Match is not a list of entity tags; send the ETag of an answer, such as "7" with its '
        "quotes.",
    ),
    ProblemError(
        400, "invalid-request", "A service key acts for a user: send their id in X-User-Id."
    ),
    ProblemError(401, "missing-credentials", "Send a token: Authorization: Bearer <token>."),
    ProblemError(401, "invalid-token", "The token has expired."),
    ProblemError(403, "insufficient-scope", "Only a service key may do this."),
    domain_problem(
        UserNotProvisionedError("alice", "users are added by a service key (PUT /v1/users/{id}).")
    ),
    domain_problem(DatabaseRuleError("23514", "messages", "no_phone_numbers")),
    domain_problem(ConversationNotFoundError(UUID(_CONVERSATION))),
    ProblemError(408, "too-slow", "The body was not complete after 30 seconds."),
    domain_problem(MessageIdTakenError(UUID(_MESSAGE))),
    domain_problem(RetainedError(UUID(_CONVERSATION))),
    domain_problem(BranchIsCurrentError(0)),
    domain_problem(SuffixDiffersError([UUID(_OTHER_MESSAGE)])),
    domain_problem(DraftActiveError(UUID(_MESSAGE), 1, 17)),
    domain_problem(DraftSupersededError(UUID(_MESSAGE), 2)),
    domain_problem(DraftEndedError(UUID(_MESSAGE), "cancelled")),
    domain_problem(DraftGapError(UUID(_MESSAGE), 17)),
    domain_problem(RevisionConflictError(UUID(_CONVERSATION), 1)),
    domain_problem(ChangesForgottenError("7 days")),
    body_too_large(1_048_576, 1_048_577),
    path_too_long(9_000),
    ProblemError(
        415, "unsupported-media-type", "The body is text/plain; send it as application/json."
    ),
    invalid_fields([FieldError(field="messages[1].role", detail="is missing")]),
    domain_problem(
        LimitExceededError(
            "content",
            limit_name="max_user_message_chars",
            limit=1_000,
            actual=1_001,
            unit="characters",
        )
    ),
    ProblemError(
        429,
        "too-many-requests",
        "More than 600 requests a minute (CHATKEEP_REQUESTS_PER_MINUTE).",
    ),
    internal_error(),
    ProblemError(503, "database-unavailable", "All connections to the database are in use."),
    ProblemError(
        503,
        "temporarily-unavailable",
        "The keys for verifying tokens cannot be fetched now.",
    ),
    ProblemError(
        503,
        "overloaded",
        "This process is serving 1000 requests, its limit (CHATKEEP_MAX_REQUESTS_AT_ONCE).",
    ),
    ProblemError(503, "not-ready", "The database cannot be reached, or is not migrated."),
)
"""Each kind of problem once, as it is sent."""
