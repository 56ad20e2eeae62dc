// Items: a conversation in the form of OpenAI's Conversations API, below /openai/v1.

import type { ItemPage, JsonObject, Order } from "./models.js";
import { json, segment, type Signal, uuid7 } from "./requests.js";
import { Sender } from "./sender.js";

export interface ListItems extends Signal {
  limit?: number;
  /** `desc`, latest first, unless said otherwise. */
  order?: Order;
  /** The id of an item. The next page is after `last_id`, if `has_more`. */
  after?: string;
}

export class Items extends Sender {
  /**
   * Append items, all or none, and return them as they are stored, with their ids.
   *
   * Without an `idempotency_key` it gets one, so that it is safe to send again. Throws
   * `NotFoundError`, `LimitExceededError`, `InvalidValueError` and `ConflictError`.
   */
  async appendItems(
    conversationId: string,
    items: readonly object[],
    options: Signal & { idempotency_key?: string } = {},
  ): Promise<JsonObject[]> {
    const { idempotency_key = uuid7(), signal } = options;
    const headers = { "Idempotency-Key": idempotency_key };
    const path = pathOf(conversationId);
    const page = await this.send(
      { method: "POST", path, headers, body: { items }, signal },
      json<ItemPage>,
    );
    return page.data;
  }

  /** Return a page of the items, at most 100. Throws `NotFoundError`. */
  async listItems(conversationId: string, options: ListItems = {}): Promise<ItemPage> {
    const { signal, ...query } = options;
    return this.send({ method: "GET", path: pathOf(conversationId), query, signal }, json<ItemPage>);
  }

  /** Yield all items, oldest first, or latest first. */
  async *iterItems(
    conversationId: string,
    options: Signal & { order?: Order; page_size?: number } = {},
  ): AsyncGenerator<JsonObject, void, undefined> {
    const { page_size: limit = 100, order = "asc", ...rest } = options;
    let after: string | undefined;
    for (;;) {
      const page = await this.listItems(conversationId, { ...rest, order, limit, ...(after && { after }) });
      yield* page.data;
      if (!page.has_more) return;
      after = page.last_id;
    }
  }

  /** Delete an item, and the message that it belongs to. Throws `NotFoundError`, `RetainedError`. */
  async deleteItem(conversationId: string, itemId: string, options: Signal = {}): Promise<void> {
    await this.delete(pathOf(conversationId, segment(itemId)), options);
  }
}

function pathOf(conversationId: string, ...more: string[]): string {
  return ["/openai/v1/conversations", segment(conversationId), "items", ...more].join("/");
}
