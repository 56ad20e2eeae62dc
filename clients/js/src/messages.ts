// Messages: append them, read them, and get the context for a model.

import type {
  Appended,
  Format,
  Message,
  MessagePage,
  NewMessage,
  Order,
  RevisedContext,
  RevisedPage,
  UIMessage,
} from "./models.js";
import {
  conditions,
  conversation,
  type Expecting,
  json,
  type Knowing,
  repeatable,
  revised,
  segment,
  type Signal,
} from "./requests.js";
import { Sender } from "./sender.js";

export interface AppendMessages extends Expecting, Signal {
  /**
   * The message to continue from (null: before the first one). If it is not the last one of a
   * branch, a new branch starts.
   */
  after?: string | null;
  /** Append at the end of that branch instead. */
  branch?: number;
  /** Also return the context, of at most so many messages. */
  context?: number;
  max_chars?: number;
  max_tokens?: number;
  format?: Format;
  idempotency_key?: string;
}

export interface GetUIHistory extends Signal {
  limit?: number;
  /** `asc`, oldest first, unless said otherwise. */
  order?: Order;
  /** It contains the order, the branch and what to leave out. */
  cursor?: string;
  /** Only what is after, or before, the message with this id. */
  after?: string;
  before?: string;
  branch?: number | "all";
}

export interface GetHistory extends GetUIHistory, Expecting, Knowing {
  /** A page with this message in the middle, which has a `previous_cursor`, too. */
  around?: string;
  /** The same around the first message that is not before this time; the last ones if all are. */
  around_time?: Date | string;
  originals?: boolean;
}

export interface IterHistory extends Signal {
  order?: Order;
  after?: string;
  before?: string;
  originals?: boolean;
  branch?: number | "all";
  page_size?: number;
}

export interface GetContext extends Expecting, Knowing, Signal {
  limit?: number;
  max_chars?: number;
  max_tokens?: number;
  format?: Format;
  branch?: number;
}

export class Messages extends Sender {
  /**
   * Append one message or several, all or none; with `context` also return what a model gets.
   *
   * Where no message has an id, one gets a UUID, so that it is safe to send the request again.
   * Throws `NotFoundError`; `LimitExceededError`; `InvalidValueError`; `IdTakenError` if an id is
   * that of another message; `RevisionConflictError`.
   */
  async appendMessages(
    conversationId: string,
    messages: NewMessage | readonly NewMessage[],
    options: AppendMessages = {},
  ): Promise<Appended> {
    const { after, expected_revision: _, idempotency_key, signal, ...query } = options;
    const list = Array.isArray(messages) ? messages : [messages as NewMessage];
    const sent = repeatable(list, idempotency_key);
    const headers = conditions(options);
    if (sent.key !== undefined) headers["Idempotency-Key"] = sent.key;
    return this.send(
      {
        method: "POST",
        path: conversation(conversationId, "messages"),
        query,
        headers,
        body: { messages: sent.messages, after },
        signal,
      },
      (answer) => ({
        ...revised<Appended>(answer),
        warning: answer.headers.get("chatkeep-warning"),
      }),
    );
  }

  /**
   * Return a page of the messages, oldest first, or latest first with `order: "desc"`.
   *
   * With a `branch`, or all of them, each message has its `parent_id` and `branch`. Throws
   * `NotFoundError`.
   */
  async getHistory(conversationId: string, options: GetHistory = {}): Promise<MessagePage> {
    const { expected_revision: _, known_revision: __, signal, ...query } = options;
    const path = conversation(conversationId, "messages");
    const headers = conditions(options);
    return this.send({ method: "GET", path, query, headers, signal }, revised<MessagePage>);
  }

  /** Yield all messages, as `getHistory` returns them in pages. */
  async *iterHistory(
    conversationId: string,
    options: IterHistory = {},
  ): AsyncGenerator<Message, void, undefined> {
    const { page_size: limit = 100, originals = false, signal, ...where } = options;
    const common = { limit, originals, ...(signal && { signal }) };
    let page = await this.getHistory(conversationId, { ...common, ...where });
    for (;;) {
      yield* page.items;
      if (page.next_cursor === null) return;
      page = await this.getHistory(conversationId, { ...common, cursor: page.next_cursor });
    }
  }

  /** Return what `getHistory` does as UIMessages of the AI SDK, for a page with `useChat`. */
  async getUIHistory<M = UIMessage>(
    conversationId: string,
    options: GetUIHistory = {},
  ): Promise<RevisedPage<M>> {
    const { signal, ...rest } = options;
    const path = conversation(conversationId, "messages");
    const query = { ...rest, format: "ai-sdk" };
    return this.send({ method: "GET", path, query, signal }, revised<RevisedPage<M>>);
  }

  /** Return one message, with its `original` if that is requested. Throws `NotFoundError`. */
  async getMessage(
    conversationId: string,
    messageId: string,
    options: Signal & { originals?: boolean } = {},
  ): Promise<Message> {
    const { signal, ...query } = options;
    const path = conversation(conversationId, "messages", segment(messageId));
    return this.send({ method: "GET", path, query, signal }, json<Message>);
  }

  /** Return one message as a UIMessage of the AI SDK. Throws `NotFoundError`. */
  async getUIMessage<M extends object = UIMessage>(
    conversationId: string,
    messageId: string,
    options: Signal = {},
  ): Promise<M> {
    const path = conversation(conversationId, "messages", segment(messageId));
    return this.send({ method: "GET", path, query: { format: "ai-sdk" }, ...options }, json<M>);
  }

  /**
   * Return the last `limit` messages as a valid request to a model, in its `format`.
   *
   * Opening system and developer messages come first; calls of tools and their results come in
   * pairs or not at all. `max_chars` and `max_tokens` leave out older messages. Throws
   * `NotFoundError`.
   */
  async getContext(conversationId: string, options: GetContext = {}): Promise<RevisedContext> {
    const { expected_revision: _, known_revision: __, signal, ...query } = options;
    const path = conversation(conversationId, "context");
    const headers = conditions(options);
    return this.send({ method: "GET", path, query, headers, signal }, revised<RevisedContext>);
  }
}
