// Sessions of the OpenAI Agents SDK, kept by chatkeep.

import type {
  AgentInputItem,
  SessionHistoryRewriteArgs,
  SessionHistoryRewriteAwareSession,
  SessionHistoryTransactionArgs,
  SessionHistoryTransactionAwareSession,
} from "@openai/agents";
import { areSame, canonical, toItems, toMessage } from "./agent-items.js";
import type { Chatkeep } from "./client.js";
import { ChatkeepError, IdTakenError, NotFoundError, SuffixDiffersError } from "./errors.js";
import { sendFitting } from "./fitting.js";
import type { Message, NewMessage, Replaced } from "./models.js";

const PAGE = 100;
/** How often a history in pages that changes while it is read is read anew. */
const AGAIN = 5;
/** An append has at most so many messages, and characters of JSON. */
const BATCH = 100;
const CHARS = 250_000;
const DIGEST = "openai-agents.transaction";

/**
 * A transaction that was refused: the session does not end as it expects, or its `operationId` was
 * used for another one. Nothing has changed.
 */
export class TransactionRefusedError extends ChatkeepError {}

/**
 * A session whose items are the messages of the conversation `sessionId`, of the client's user.
 *
 * Items come back as they were added. Up to 100 of them, or about 250,000 characters, are stored all
 * or none and once, however often they must be sent; more are stored in such batches. The
 * conversation is created if it does not exist. While it is on hold, whatever deletes or replaces
 * items throws `RetainedError`.
 */
export class ChatkeepSession
  implements SessionHistoryTransactionAwareSession, SessionHistoryRewriteAwareSession
{
  constructor(
    private readonly sessionId: string,
    private readonly client: Chatkeep,
  ) {}

  async getSessionId(): Promise<string> {
    return this.sessionId;
  }

  /** Return the latest `limit` items, or all, oldest first; none for a new session. */
  async getItems(limit = Number.POSITIVE_INFINITY): Promise<AgentInputItem[]> {
    if (limit <= 0) return [];
    const found = (await this.#latest(limit)).flatMap(toItems);
    return found.length > limit ? found.slice(-limit) : found;
  }

  /** Store items at the end. */
  async addItems(items: AgentInputItem[]): Promise<void> {
    for (const batch of batches(items.map(toMessage))) {
      await this.#creating(() =>
        sendFitting(batch, (sent) => this.client.appendMessages(this.sessionId, sent)),
      );
    }
  }

  /** Delete the latest item and return it. Of several who pop at the same time each gets another. */
  async popItem(): Promise<AgentInputItem | undefined> {
    for (;;) {
      const latest = await this.#latest(2);
      const last = latest.pop();
      if (last === undefined) return undefined;
      const items = toItems(last);
      const popped = items.pop();
      try {
        if (items.length === 0) await this.client.deleteMessage(this.sessionId, last.id);
        // Another client's message may be several items; the others stay.
        else await this.#replace(latest.at(0), [last], items.map(toMessage));
        return popped;
      } catch (error) {
        if (!(error instanceof SuffixDiffersError || error instanceof NotFoundError)) throw error;
      }
    }
  }

  /** Delete all items. The conversation stays, with its title and metadata. */
  async clearSession(): Promise<void> {
    await this.#replaceAll([]);
  }

  /** Replace all items in one step, so that nobody sees the session empty. */
  async replaceHistoryWithCompaction(items: AgentInputItem[]): Promise<void> {
    await this.#creating(() => this.#replaceAll(items.map(toMessage)));
  }

  /** Replace calls of tools, each in its place. */
  async applyHistoryMutations({ mutations }: SessionHistoryRewriteArgs): Promise<void> {
    for (const { callId, replacement } of mutations) {
      const isCall = (item: AgentInputItem): boolean =>
        item.type === "function_call" && item.callId === callId;
      const [first, ...others] = (await this.#latest()).filter((each) => toItems(each).every(isCall));
      if (first === undefined) continue;
      await sendFitting([toMessage(replacement)], ([sent]) =>
        this.client.putMessage(this.sessionId, first.id, sent as NewMessage),
      );
      for (const { id } of others) await this.client.deleteMessage(this.sessionId, id);
    }
  }

  /**
   * Append items, or replace the expected last ones, all or nothing and once for an `operationId`.
   *
   * Throws `TransactionRefusedError`; `LimitExceededError` for more items than the service takes at
   * once (`CHATKEEP_MAX_BATCH`, 100).
   */
  async applyHistoryTransaction({ operationId, transaction }: SessionHistoryTransactionArgs): Promise<void> {
    const key = await digestOf(operationId);
    const digest = await digestOf(canonical(transaction));
    const items = transaction.type === "append_items" ? transaction.items : transaction.replacement;
    const messages = items.map((item, place) => ({
      ...toMessage(item),
      id: `${key}-${place}`,
      metadata: { [DIGEST]: digest },
    }));
    if (transaction.type === "append_items") {
      if (messages.length > 0) await this.#appendOnce(messages, key);
    } else {
      await this.#replaceOnce(transaction.expectedSuffix, messages, key, digest);
    }
  }

  async #appendOnce(messages: readonly NewMessage[], key: string): Promise<void> {
    try {
      await this.#creating(() =>
        sendFitting(messages, (sent) =>
          this.client.appendMessages(this.sessionId, sent, { idempotency_key: key }),
        ),
      );
    } catch (error) {
      throw error instanceof IdTakenError ? anotherTransaction() : error;
    }
  }

  async #replaceOnce(
    expected: readonly AgentInputItem[],
    messages: readonly NewMessage[],
    key: string,
    digest: string,
  ): Promise<void> {
    for (;;) {
      const latest = await this.#latest(expected.length + 1);
      const suffix = expected.length > 0 ? latest.slice(-expected.length) : [];
      const found = suffix.flatMap(toItems);
      const isThere =
        found.length === expected.length &&
        found.every((item, place) => areSame(item, expected[place] as AgentInputItem));
      const before = latest.at(-expected.length - 1);
      try {
        if (isThere) {
          const sent = (): Promise<Replaced> => this.#replace(before, suffix, messages, key);
          const { deleted } = await this.#creating(sent);
          if (messages.length > 0 || deleted === expected.length) return;
          // They are gone: by an earlier attempt of this, or by somebody else.
        }
        if (await this.#isUsed(key)) return await this.#checkApplied(key, digest);
      } catch (error) {
        if (error instanceof IdTakenError) return this.#checkApplied(key, digest);
        if (!(error instanceof SuffixDiffersError || error instanceof NotFoundError)) throw error;
      }
      if (!isThere) {
        throw new TransactionRefusedError("the session does not end with the expected items");
      }
    }
  }

  /** Return whether the key was used, by a request that cannot change anything. */
  async #isUsed(key: string): Promise<boolean> {
    try {
      await this.#replace(undefined, [{ id: crypto.randomUUID() }], [], key);
    } catch (error) {
      if (error instanceof IdTakenError) return true;
      if (!(error instanceof SuffixDiffersError || error instanceof NotFoundError)) throw error;
    }
    return false;
  }

  /** Check that the operation was this one, if any of its items is left. */
  async #checkApplied(key: string, digest: string): Promise<void> {
    try {
      const { metadata } = await this.client.getMessage(this.sessionId, `${key}-0`);
      if (metadata[DIGEST] !== digest) throw anotherTransaction();
    } catch (error) {
      if (!(error instanceof NotFoundError)) throw error;
    }
  }

  /** Replace what is after a message, if it is what is expected. */
  async #replace(
    before: Message | undefined,
    expected: readonly { id: string }[],
    messages: readonly NewMessage[],
    key?: string,
  ): Promise<Replaced> {
    return sendFitting(messages, (sent) =>
      this.client.replaceMessages(this.sessionId, sent, {
        after: before?.id ?? null,
        expected: expected.map(({ id }) => id),
        ...(key !== undefined && { idempotency_key: key }),
      }),
    );
  }

  async #replaceAll(messages: readonly NewMessage[]): Promise<void> {
    let expected: readonly { id: string }[] = [];
    for (;;) {
      try {
        await this.#replace(undefined, expected, messages);
        return;
      } catch (error) {
        if (error instanceof NotFoundError && messages.length === 0) return;
        if (!(error instanceof SuffixDiffersError)) throw error;
        expected = error.found.map((id) => ({ id }));
      }
    }
  }

  /** Return the latest messages with their originals, oldest first, as they are at one time. */
  async #latest(most = Number.POSITIVE_INFINITY): Promise<Message[]> {
    const { client, sessionId } = this;
    const limit = Math.min(most, PAGE);
    for (let again = AGAIN; ; again -= 1) {
      const found: Message[] = [];
      try {
        let page = await client.getHistory(sessionId, { order: "desc", originals: true, limit });
        const { revision } = page;
        for (;;) {
          found.push(...page.items);
          const { next_cursor: cursor } = page;
          if (cursor === null || found.length >= most) return found.slice(0, most).reverse();
          page = await client.getHistory(sessionId, { cursor, originals: true, limit });
          if (page.revision !== revision && again > 0) break; // something has changed meanwhile
        }
      } catch (error) {
        if (!(error instanceof NotFoundError)) throw error;
        return [];
      }
    }
  }

  /** Call again with a new conversation, if there is none. */
  async #creating<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof NotFoundError)) throw error;
      await this.client.getOrCreateConversation(this.sessionId);
      return call();
    }
  }
}

function anotherTransaction(): TransactionRefusedError {
  return new TransactionRefusedError("the operationId was used for another transaction");
}

function* batches(messages: readonly NewMessage[]): Generator<NewMessage[]> {
  let batch: NewMessage[] = [];
  let chars = 0;
  for (const message of messages) {
    const its = JSON.stringify(message).length;
    if (batch.length === BATCH || (batch.length > 0 && chars + its > CHARS)) {
      yield batch;
      [batch, chars] = [[], 0];
    }
    batch.push(message);
    chars += its;
  }
  if (batch.length > 0) yield batch;
}

async function digestOf(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
