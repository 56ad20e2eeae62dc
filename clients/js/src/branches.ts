// Branches, alternatives to a message, and forks.

import type { Branch, Conversation, Page, RevisedPage, Sibling } from "./models.js";
import {
  conditions,
  conversation,
  type Expecting,
  json,
  type Knowing,
  revised,
  segment,
  type Signal,
  uuid7,
} from "./requests.js";
import { Sender } from "./sender.js";

export interface ListBranches extends Expecting, Knowing, Signal {
  limit?: number;
  cursor?: string;
}

export interface ChangeBranch extends Expecting, Signal {
  /** Null: no name. */
  name?: string | null;
  /** Make it the current one. */
  is_current?: true;
}

export interface ForkConversation extends Signal {
  /** The id of the new conversation; without one it gets a UUID. */
  id?: string;
  /** The last message of the path. */
  at?: string;
  /** Without `at`: all of this branch, or of the current one. */
  branch?: number;
  title?: string | null;
  metadata?: object;
}

export class Branches extends Sender {
  /** Return a page of the branches, by number; a conversation that never branched has one, 0. */
  async listBranches(
    conversationId: string,
    options: ListBranches = {},
  ): Promise<RevisedPage<Branch>> {
    const { expected_revision: _, known_revision: __, signal, ...query } = options;
    const path = conversation(conversationId, "branches");
    const headers = conditions(options);
    return this.send({ method: "GET", path, query, headers, signal }, revised<RevisedPage<Branch>>);
  }

  /** Yield all branches, by number. */
  async *iterBranches(
    conversationId: string,
    options: Signal & { page_size?: number } = {},
  ): AsyncGenerator<Branch, void, undefined> {
    const { page_size: limit = 100, ...rest } = options;
    let cursor: string | null | undefined;
    do {
      const page = await this.listBranches(conversationId, { ...rest, limit, ...(cursor && { cursor }) });
      yield* page.items;
      cursor = page.next_cursor;
    } while (cursor !== null);
  }

  /**
   * Rename a branch, or make it the current one.
   *
   * Throws `NotFoundError` and `RevisionConflictError`. With `expected_revision` it is not sent
   * again if it may have been carried out.
   */
  async changeBranch(
    conversationId: string,
    number: number,
    options: ChangeBranch,
  ): Promise<Branch & { revision: number }> {
    const { expected_revision, signal, ...body } = options;
    return this.send(
      {
        method: "PATCH",
        path: conversation(conversationId, "branches", String(number)),
        headers: conditions(options),
        body,
        repeat: expected_revision === undefined ? "always" : "if refused",
        signal,
      },
      revised<Branch & { revision: number }>,
    );
  }

  /**
   * Delete a branch, with the messages that no other branch shares. Return the revision.
   *
   * It is null if a repeated request found the branch gone. Throws `NotFoundError`;
   * `WrongBranchError` for the current branch; `RetainedError`; `RevisionConflictError`.
   */
  async deleteBranch(
    conversationId: string,
    number: number,
    options: Expecting & Signal = {},
  ): Promise<number | null> {
    return this.delete(conversation(conversationId, "branches", String(number)), options);
  }

  /** Return all messages that continue from the same message as this one, oldest first. */
  async listSiblings(
    conversationId: string,
    messageId: string,
    options: Signal = {},
  ): Promise<Sibling[]> {
    const path = conversation(conversationId, "messages", segment(messageId), "siblings");
    return (await this.send({ method: "GET", path, ...options }, json<Page<Sibling>>)).items;
  }

  /**
   * Copy a path into a new conversation, and return that one.
   *
   * Title and metadata are those of the original unless given. Copies have other ids, except for
   * ids that are not UUIDs. Throws `NotFoundError`, and `IdTakenError` for `id`.
   */
  async forkConversation(
    conversationId: string,
    options: ForkConversation = {},
  ): Promise<Conversation> {
    const { id = uuid7(), signal, ...rest } = options;
    const path = conversation(conversationId, "fork");
    return this.send({ method: "POST", path, body: { id, ...rest }, signal }, json<Conversation>);
  }
}
