// The user, their export, other users for services, and the health of the service.

import { ChatkeepError, IncompleteExportError } from "./errors.js";
import type { AuditPage, Overview, Usage, User, UserPage } from "./models.js";
import { created, json, nothing, segment, type Signal } from "./requests.js";
import { readText, Sender } from "./sender.js";

export interface ListUsers extends Signal {
  prefix?: string;
  limit?: number;
  cursor?: string;
}

export interface ListAudit extends Signal {
  user?: string;
  limit?: number;
  cursor?: string;
}

export class Users extends Sender {
  /** Count the user's conversations and messages; all are 0 for a new user. */
  async getUsage(options: Signal = {}): Promise<Usage> {
    return this.send({ method: "GET", path: "/v1/me", ...options }, json<Usage>);
  }

  /**
   * Yield all conversations of the user with all their messages, one JSON text each.
   *
   * `chatkeep import` reads them, one a line; docs/transfer.md describes them. Throws
   * `IncompleteExportError` if the answer ends early.
   */
  async *exportMe(options: Signal = {}): AsyncGenerator<string, void, undefined> {
    const pieces = readText(await this.open({ method: "GET", path: "/v1/me/export", ...options }));
    let rest = "";
    try {
      for (;;) {
        const piece = await pieces.next().catch((error: unknown) => {
          options.signal?.throwIfAborted();
          const text = "the connection broke during the export";
          throw new IncompleteExportError(text, { cause: error });
        });
        if (piece.done) break;
        const lines = (rest + piece.value).split("\n");
        rest = lines.pop() ?? "";
        yield* lines;
      }
    } finally {
      await pieces.return(); // where the caller leaves early
    }
    if (rest !== "") throw new IncompleteExportError("the service ended the export early");
  }

  /**
   * Delete the user and everything they own, permanently.
   *
   * Throws `RetainedError` while one of their conversations is on hold.
   */
  async eraseMe(options: Signal = {}): Promise<void> {
    await this.send({ method: "DELETE", path: "/v1/me", ...options }, nothing);
  }

  /**
   * Return a page of the users whose ids begin with `prefix`, by id. For service keys.
   *
   * Go on with the `next_cursor` of the page as `cursor`, until it is null.
   */
  async listUsers(options: ListUsers = {}): Promise<UserPage> {
    const { signal, ...query } = options;
    return this.send({ method: "GET", path: "/v1/users", query, signal }, json<UserPage>);
  }

  /** Return totals, the messages of 14 days, drafts, storage and more. For service keys. */
  async getOverview(options: Signal = {}): Promise<Overview> {
    return this.send({ method: "GET", path: "/v1/overview", ...options }, json<Overview>);
  }

  /**
   * Return a page of what operators asked for, latest first. For service keys.
   *
   * `user` chooses the lines about one user. Go on with the `next_cursor` of the page as `cursor`,
   * until it is null.
   */
  async listAudit(options: ListAudit = {}): Promise<AuditPage> {
    const { signal, ...query } = options;
    return this.send({ method: "GET", path: "/v1/audit", query, signal }, json<AuditPage>);
  }

  /** Add a user, if they do not exist. For service keys. */
  async putUser(userId: string, options: Signal = {}): Promise<User> {
    return this.send({ method: "PUT", path: `/v1/users/${segment(userId)}`, ...options }, (answer) => ({
      ...json<User>(answer),
      created: created(answer),
    }));
  }

  /**
   * Delete a user and everything they own, permanently. For service keys.
   *
   * Throws `NotFoundError`, and `RetainedError` while one of their conversations is on hold.
   */
  async eraseUser(userId: string, options: Signal = {}): Promise<void> {
    await this.delete(`/v1/users/${segment(userId)}`, options);
  }

  /** Return whether the process answers. Nothing is tried again. */
  async isLive(options: Signal = {}): Promise<boolean> {
    return answers(this, "/health/live", options);
  }

  /** Return whether the service can serve: its latest query succeeded. */
  async isReady(options: Signal = {}): Promise<boolean> {
    return answers(this, "/health/ready", options);
  }
}

async function answers(sender: Sender, path: string, options: Signal): Promise<boolean> {
  try {
    await sender.send({ method: "GET", path, repeat: "never", ...options }, nothing);
    return true;
  } catch (error) {
    if (error instanceof ChatkeepError) return false;
    throw error;
  }
}
