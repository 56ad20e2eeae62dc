// Changes of messages: put, patch, delete, truncate, replace. All throw `RetainedError` on hold.

import type { NewMessage, Replaced, StoredMessage, Truncated } from "./models.js";
import {
  type Answer,
  conditions,
  conversation,
  created,
  type Expecting,
  revised,
  segment,
  type Signal,
  uuid7,
} from "./requests.js";
import { Sender } from "./sender.js";

export interface PatchMessage extends Expecting, Signal {
  /** Merged into those of the message (RFC 7396: null removes). */
  metadata?: object | null;
  tokens?: number | null;
}

export interface TruncateMessages extends Expecting, Signal {
  /** Delete all that is after this message. */
  after?: string;
  /** Delete what begins with this message. */
  from?: string;
}

export interface ReplaceMessages extends Expecting, Signal {
  /** Delete what is after this message; null: everything. */
  after: string | null;
  /** The ids of the messages there, in order; otherwise nothing changes. */
  expected: readonly string[];
  idempotency_key?: string;
}

export class Changes extends Sender {
  /**
   * Append a message under its id, or replace all fields of the one that has it.
   *
   * A replaced message keeps its place. An equal one changes nothing. Throws `NotFoundError`,
   * `IdTakenError`, `LimitExceededError` and `RevisionConflictError`.
   */
  async putMessage(
    conversationId: string,
    messageId: string,
    message: NewMessage,
    options: Expecting & Signal = {},
  ): Promise<StoredMessage> {
    const path = conversation(conversationId, "messages", segment(messageId));
    const headers = conditions(options);
    const { signal } = options;
    return this.send({ method: "PUT", path, headers, body: message, signal }, stored);
  }

  /**
   * Merge metadata into those of a message, or set its `tokens`.
   *
   * Throws `NotFoundError`, `LimitExceededError` and `RevisionConflictError`.
   */
  async patchMessage(
    conversationId: string,
    messageId: string,
    options: PatchMessage,
  ): Promise<StoredMessage> {
    const { expected_revision: _, signal, ...body } = options;
    const path = conversation(conversationId, "messages", segment(messageId));
    return this.send({ method: "PATCH", path, headers: conditions(options), body, signal }, stored);
  }

  /**
   * Delete a message permanently. Return the revision.
   *
   * It is null if a repeated request found the message gone. Throws `NotFoundError` and
   * `RevisionConflictError`.
   */
  async deleteMessage(
    conversationId: string,
    messageId: string,
    options: Expecting & Signal = {},
  ): Promise<number | null> {
    return this.delete(conversation(conversationId, "messages", segment(messageId)), options);
  }

  /**
   * Delete all that is `after` a message, or what begins with the message `from`.
   *
   * With `from` it is not sent again if it may have been carried out. Throws `NotFoundError`,
   * `WrongBranchError` and `RevisionConflictError`.
   */
  async truncateMessages(conversationId: string, options: TruncateMessages): Promise<Truncated> {
    const { after, from, signal } = options;
    return this.send(
      {
        method: "DELETE",
        path: conversation(conversationId, "messages"),
        query: { after, from },
        headers: conditions(options),
        repeat: from === undefined ? "always" : "if refused",
        signal,
      },
      revised<Truncated>,
    );
  }

  /**
   * Delete what is `after` a message and append others, all or nothing.
   *
   * Nothing changes unless the ids of the messages there are the `expected` ones:
   * `SuffixDiffersError`. Without an `idempotency_key` it gets one, so that it is safe to send
   * again. Throws `NotFoundError`, `WrongBranchError`, `IdTakenError`, `LimitExceededError` and
   * `RevisionConflictError`.
   */
  async replaceMessages(
    conversationId: string,
    messages: readonly NewMessage[],
    options: ReplaceMessages,
  ): Promise<Replaced> {
    const { expected_revision: _, idempotency_key = uuid7(), signal, ...rest } = options;
    return this.send(
      {
        method: "PUT",
        path: conversation(conversationId, "messages"),
        headers: { ...conditions(options), "Idempotency-Key": idempotency_key },
        body: { ...rest, messages },
        signal,
      },
      revised<Replaced>,
    );
  }
}

function stored(answer: Answer): StoredMessage {
  return { ...revised<StoredMessage>(answer), created: created(answer) };
}
