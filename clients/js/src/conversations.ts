// Conversations: create, find, change, delete.

import { IncompleteExportError } from "./errors.js";
import type {
  Conversation,
  ConversationPage,
  CreatedConversation,
  FoundConversation,
  NewMessage,
  Status,
} from "./models.js";
import {
  conditions,
  conversation,
  created,
  type Expecting,
  json,
  type Knowing,
  type Signal,
  uuid7,
} from "./requests.js";
import { readText, Sender } from "./sender.js";

const ALL = "/v1/conversations";

export interface CreateConversation extends Signal {
  id?: string;
  title?: string | null;
  metadata?: object | null;
  messages?: readonly NewMessage[];
  /** Put it on hold; for service keys. */
  retain?: boolean;
  idempotency_key?: string;
}

export interface GetOrCreateConversation extends Expecting, Signal {
  title?: string | null;
  metadata?: object | null;
  retain?: boolean;
  must_be_new?: boolean;
}

export interface FindConversations extends Signal {
  status?: Status;
  /** Equal strings, numbers, booleans and nulls at the top level. */
  metadata?: Record<string, unknown>;
  /** With a time zone, and excluded itself. */
  updated_after?: Date | string;
  updated_before?: Date | string;
  /** `created`: by creation, at most 10,000 conversations. */
  sort?: "updated" | "created";
}

export interface ListConversations extends FindConversations {
  /** Also count those on all pages. */
  count?: boolean;
  limit?: number;
  cursor?: string;
  /** Without a cursor, the id of the conversation to go on behind. */
  after?: string;
}

export interface ChangeConversation extends Expecting, Signal {
  title?: string | null;
  status?: Status;
  metadata?: object;
  retain?: boolean;
}

export interface ExportConversation extends Signal {
  /** `jsonl` unless said otherwise. */
  format?: "jsonl" | "markdown";
}

export class Conversations extends Sender {
  /**
   * Create a conversation, with its first messages if you like, all or nothing.
   *
   * Without an `id` it gets a UUID. An equal conversation that exists under the id is returned as
   * it is; another one throws `IdTakenError`.
   */
  async createConversation(options: CreateConversation = {}): Promise<CreatedConversation> {
    const { idempotency_key: key, signal, ...body } = options;
    if (body.id === undefined && key === undefined) body.id = uuid7();
    const headers: Record<string, string> = key === undefined ? {} : { "Idempotency-Key": key };
    return this.send({ method: "POST", path: ALL, headers, body, signal }, json<CreatedConversation>);
  }

  /**
   * Return a conversation, which is created with these values if it does not exist.
   *
   * `created` says which. With `expected_revision` nothing is created (`NotFoundError`); with
   * `must_be_new` it must not exist (`RevisionConflictError`). With either of them the request is
   * not sent again if it may have been carried out.
   */
  async getOrCreateConversation(
    conversationId: string,
    options: GetOrCreateConversation = {},
  ): Promise<FoundConversation> {
    const { expected_revision, must_be_new, signal, ...body } = options;
    const headers = conditions({ ...(expected_revision !== undefined && { expected_revision }) });
    if (must_be_new) headers["If-None-Match"] = "*";
    return this.send(
      {
        method: "PUT",
        path: conversation(conversationId),
        headers,
        body,
        repeat: Object.keys(headers).length > 0 ? "if refused" : "always",
        signal,
      },
      (answer) => ({ ...json<FoundConversation>(answer), created: created(answer) }),
    );
  }

  /** Return a conversation, without its messages. Throws `NotFoundError`. */
  async getConversation(
    conversationId: string,
    options: Expecting & Knowing & Signal = {},
  ): Promise<Conversation> {
    const path = conversation(conversationId);
    const { signal } = options;
    return this.send({ method: "GET", path, headers: conditions(options), signal }, json<Conversation>);
  }

  /**
   * Return a page of the user's conversations, latest activity first.
   *
   * Filters combine, and a `cursor` contains them. Pages may be short or empty: go on until
   * `next_cursor` is null, or use `iterConversations`.
   */
  async listConversations(options: ListConversations = {}): Promise<ConversationPage> {
    const { metadata, signal, ...query } = options;
    const filters = Object.entries(metadata ?? {}).map(([key, value]) => [
      `metadata[${key}]`,
      typeof value === "string" ? value : JSON.stringify(value),
    ]);
    const all = { ...query, ...Object.fromEntries(filters) };
    return this.send({ method: "GET", path: ALL, query: all, signal }, json<ConversationPage>);
  }

  /**
   * Yield all conversations of the user that match, as `listConversations` finds them.
   *
   * One that becomes active meanwhile may be left out or come twice.
   */
  async *iterConversations(
    options: FindConversations & { page_size?: number } = {},
  ): AsyncGenerator<Conversation, void, undefined> {
    const { page_size: limit = 100, ...filters } = options;
    let cursor: string | null | undefined;
    do {
      const page = await this.listConversations({ ...filters, limit, ...(cursor && { cursor }) });
      yield* page.items;
      cursor = page.next_cursor;
    } while (cursor !== null);
  }

  /**
   * Change what is given: rename it, archive it, replace its metadata, put it on hold.
   *
   * Throws `NotFoundError`, and `RevisionConflictError`. With `expected_revision` it is not sent
   * again if it may have been carried out.
   */
  async changeConversation(
    conversationId: string,
    options: ChangeConversation,
  ): Promise<Conversation> {
    const { expected_revision, signal, ...body } = options;
    return this.send(
      {
        method: "PATCH",
        path: conversation(conversationId),
        headers: conditions(options),
        body,
        repeat: expected_revision === undefined ? "always" : "if refused",
        signal,
      },
      json<Conversation>,
    );
  }

  /**
   * Delete a conversation with all its messages, permanently.
   *
   * Throws `NotFoundError`, `RetainedError` while it is on hold, and `RevisionConflictError`.
   */
  async deleteConversation(conversationId: string, options: Expecting & Signal = {}): Promise<void> {
    await this.delete(conversation(conversationId), options);
  }

  /**
   * Yield one conversation as a file, piece by piece.
   *
   * `jsonl` is one line, which `chatkeep import` reads; `markdown` is for people, and has the current
   * branch only. Throws `NotFoundError`, and `IncompleteExportError` if the answer ends early.
   */
  async *exportConversation(
    conversationId: string,
    options: ExportConversation = {},
  ): AsyncGenerator<string, void, undefined> {
    const { signal, ...query } = options;
    const path = conversation(conversationId, "export");
    const pieces = readText(await this.open({ method: "GET", path, query, signal }));
    let last = "";
    try {
      for (;;) {
        const piece = await pieces.next().catch((error: unknown) => {
          signal?.throwIfAborted();
          const text = "the connection broke during the export";
          throw new IncompleteExportError(text, { cause: error });
        });
        if (piece.done) break;
        last = piece.value || last;
        yield piece.value;
      }
    } finally {
      await pieces.return(); // where the caller leaves early
    }
    if (!last.endsWith("\n")) throw new IncompleteExportError("the service ended the export early");
  }
}
