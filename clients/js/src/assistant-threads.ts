// The list of threads of assistant-ui: the user's conversations.

import type { RemoteThreadListAdapter, ThreadMessage } from "@assistant-ui/core";
import type { AssistantStreamChunk } from "assistant-stream";
import type { Chatkeep } from "./client.js";
import { NotFoundError } from "./errors.js";
import { textOf } from "./fitting.js";
import type { Conversation } from "./models.js";

/** The service's limit on titles is 200, unless set otherwise. */
const TITLE = 80;

type Metadata = Awaited<ReturnType<RemoteThreadListAdapter["fetch"]>>;

export interface ThreadListOptions {
  /** Makes a title of the messages; without it, the beginning of the first one is the title. */
  title?: (messages: readonly ThreadMessage[]) => string | Promise<string>;
}

/**
 * Return an adapter whose threads are the user's conversations, latest activity first.
 *
 * A thread's `custom` is the metadata of its conversation. Deleting a thread deletes its
 * conversation permanently, and throws `RetainedError` while that is on hold.
 */
export function createThreadList(
  client: Chatkeep,
  options: ThreadListOptions = {},
): Required<Pick<RemoteThreadListAdapter, "updateCustom" | "unarchive">> & RemoteThreadListAdapter {
  const { title = beginningOf } = options;
  return {
    list: async ({ after } = {}) => {
      let page = await client.listConversations(after === undefined ? {} : { cursor: after });
      while (page.items.length === 0 && page.next_cursor !== null) {
        page = await client.listConversations({ cursor: page.next_cursor });
      }
      return { threads: page.items.map(toThread), nextCursor: page.next_cursor ?? undefined };
    },
    initialize: async (_, { custom } = {}) => {
      const { id } = await client.createConversation(custom === undefined ? {} : { metadata: custom });
      return { remoteId: id, externalId: undefined };
    },
    fetch: async (remoteId) => toThread(await client.getConversation(remoteId)),
    rename: async (remoteId, newTitle) => {
      await client.changeConversation(remoteId, { title: newTitle });
    },
    updateCustom: async (remoteId, custom) => {
      await client.changeConversation(remoteId, { metadata: custom ?? {} });
    },
    archive: async (remoteId) => {
      await client.changeConversation(remoteId, { status: "archived" });
    },
    unarchive: async (remoteId) => {
      await client.changeConversation(remoteId, { status: "active" });
    },
    delete: async (remoteId) => {
      try {
        await client.deleteConversation(remoteId);
      } catch (error) {
        if (!(error instanceof NotFoundError)) throw error;
      }
    },
    generateTitle: async (remoteId, messages) => {
      const made = await title(messages);
      if (made) await client.changeConversation(remoteId, { title: made });
      return streamOf(made); // after the title is stored: a later one must not be overwritten
    },
  };
}

function toThread({ id, title, status, metadata, updated_at }: Conversation): Metadata {
  return {
    status: status === "archived" ? "archived" : "regular",
    remoteId: id,
    title: title ?? undefined,
    lastMessageAt: new Date(updated_at),
    custom: metadata,
  };
}

function beginningOf(messages: readonly ThreadMessage[]): string {
  const first = messages.find(({ role }) => role === "user");
  const words = textOf(first?.content).trim().split(/\s+/).join(" ");
  const chars = [...words];
  return chars.length > TITLE ? `${chars.slice(0, TITLE - 1).join("")}…` : words;
}

function streamOf(text: string): ReadableStream<AssistantStreamChunk> {
  return new ReadableStream({
    start: (controller) => {
      if (text) {
        controller.enqueue({ type: "part-start", path: [], part: { type: "text" } });
        controller.enqueue({ type: "text-delta", path: [0], textDelta: text });
        controller.enqueue({ type: "part-finish", path: [0] });
      }
      controller.close();
    },
  });
}
