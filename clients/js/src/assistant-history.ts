// The history of a thread of assistant-ui: the messages of a conversation, with all its branches.

import type {
  ExportedMessageRepositoryItem,
  GenericThreadHistoryAdapter,
  MessageFormatAdapter,
  MessageFormatItem,
  MessageFormatRepository,
  ThreadHistoryAdapter,
  ThreadMessage,
} from "@assistant-ui/core";
import type { Chatkeep } from "./client.js";
import { IdTakenError, NotFoundError } from "./errors.js";
import { contentOf, sendFitting, textOf } from "./fitting.js";
import type { JsonObject, Message, NewMessage, Role } from "./models.js";

const FORMAT = "assistant-ui";
/** What the formats of the AI SDK's runtime begin with; their messages are UIMessages without ids. */
const OF_AI_SDK = "ai-sdk/";
const AI_SDK = "ai-sdk";

/** What `useAui().threadListItem` is. */
export interface ThreadItem {
  getState(): { remoteId?: string | undefined };
  initialize(): Promise<{ remoteId: string }>;
}

/** A message that is to be stored; `message` returns it for the id that it is stored under. */
interface Stored {
  id: string;
  parentId: string | null;
  message: (storedId: string) => NewMessage;
}

/** What a loaded message is, or null if it is left out. */
type Reader<T> = (message: Message, parentId: string | null) => T | null;

/**
 * Return an adapter that keeps the messages of a thread in its conversation, edits and regenerated
 * answers as branches.
 *
 * `thread` is the id of a conversation, or a function that returns assistant-ui's item of a thread.
 * Messages that other clients stored are loaded, too, without those of tools.
 */
export function createHistory(
  client: Chatkeep,
  thread: string | (() => ThreadItem),
): Required<Pick<ThreadHistoryAdapter, "update" | "delete" | "withFormat">> & ThreadHistoryAdapter {
  const history = new History(client, thread);
  return {
    load: () => history.load<ExportedMessageRepositoryItem>(readThreadMessage),
    append: (item) => history.store(ofThread(item)),
    update: (item) => history.store(ofThread(item)),
    delete: (items) => history.delete(items.map(({ message }) => message.id)),
    withFormat: (format) => withFormat(history, format),
  };
}

function withFormat<M, S extends Record<string, unknown>>(
  history: History,
  format: MessageFormatAdapter<M, S>,
): GenericThreadHistoryAdapter<M> {
  return {
    load: (): Promise<MessageFormatRepository<M>> =>
      history.load<MessageFormatItem<M>>((message, parentId) => readFormatted(format, message, parentId)),
    append: (item) => history.store(formatted(format, item)),
    update: (item, localMessageId) => history.store(formatted(format, item), localMessageId),
    delete: (items) => history.delete(items.map(({ message }) => format.getId(message))),
  };
}

class History {
  /** Writes wait for each other: a message must find its parent. */
  #writes: Promise<unknown> = Promise.resolve();
  /** Ids that messages got after they were stored under others. */
  readonly #storedAs = new Map<string, string>();

  constructor(
    private readonly client: Chatkeep,
    private readonly thread: string | (() => ThreadItem),
  ) {}

  /** Return all messages, each behind its parent, and the last one of the current branch. */
  async load<T>(read: Reader<T>): Promise<{ headId?: string | null; messages: T[] }> {
    const id = typeof this.thread === "string" ? this.thread : this.thread().getState().remoteId;
    if (id === undefined) return { messages: [] };
    const messages: T[] = [];
    // Of each message: itself, or the nearest one before it that is not left out.
    const shown = new Map<string, string | null>();
    try {
      const { items: latest } = await this.client.getHistory(id, { order: "desc", limit: 1 });
      const all = this.client.iterHistory(id, { branch: "all", originals: true });
      for await (const message of all) {
        const parent = message.parent_id ? (shown.get(message.parent_id) ?? null) : null;
        const found = read(message, parent);
        shown.set(message.id, found === null ? parent : message.id);
        if (found !== null) messages.push(found);
      }
      return { headId: shown.get(latest[0]?.id ?? "") ?? null, messages };
    } catch (error) {
      if (error instanceof NotFoundError) return { messages: [] };
      throw error;
    }
  }

  /** Store a message behind its parent, or in its place if it is stored already. */
  store({ id, parentId, message }: Stored, localId = id): Promise<void> {
    return this.#write(async (conversationId) => {
      const storedId = this.#storedAs.get(localId) ?? localId;
      if (storedId !== id) this.#storedAs.set(id, storedId);
      const after = parentId === null ? null : (this.#storedAs.get(parentId) ?? parentId);
      await sendFitting([message(storedId)], async ([sent]) => {
        try {
          await this.client.appendMessages(conversationId, { ...sent, id: storedId }, { after });
        } catch (error) {
          if (!(error instanceof IdTakenError)) throw error;
          await this.client.putMessage(conversationId, storedId, sent as NewMessage);
        }
      });
    });
  }

  delete(ids: readonly string[]): Promise<void> {
    return this.#write(async (conversationId) => {
      for (const id of ids) {
        try {
          await this.client.deleteMessage(conversationId, this.#storedAs.get(id) ?? id);
        } catch (error) {
          if (!(error instanceof NotFoundError)) throw error;
        }
      }
    });
  }

  #write(write: (conversationId: string) => Promise<void>): Promise<void> {
    const written = this.#writes.then(async () => write(await this.#create()));
    this.#writes = written.catch(() => undefined);
    return written;
  }

  async #create(): Promise<string> {
    if (typeof this.thread === "function") return (await this.thread().initialize()).remoteId;
    await this.client.getOrCreateConversation(this.thread);
    return this.thread;
  }
}

function ofThread({ message, parentId, runConfig }: ExportedMessageRepositoryItem): Stored {
  const { role, content } = message;
  const original = { message, ...(runConfig !== undefined && { runConfig }) };
  const stored = { role, content: contentOf(content), format: FORMAT, original };
  return { id: message.id, parentId, message: () => stored };
}

function readThreadMessage(message: Message, parentId: string | null): ExportedMessageRepositoryItem | null {
  const { format, original, role, content, created_at } = message;
  if (format === FORMAT) {
    const { message: kept, ...rest } = original as ExportedMessageRepositoryItem;
    return { ...rest, message: { ...kept, id: message.id, createdAt: new Date(kept.createdAt) }, parentId };
  }
  const text = textOf(content);
  if (role === "tool" || (text === "" && role === "assistant")) return null;
  const common = { id: message.id, createdAt: new Date(created_at), content: [{ type: "text", text }] };
  const made = { user: ofUser, assistant: ofAssistant, system: ofSystem, developer: ofSystem }[role];
  return { message: { ...common, ...made } as unknown as ThreadMessage, parentId };
}

const ofUser = { role: "user", attachments: [], metadata: { custom: {} } };
const ofSystem = { role: "system", metadata: { custom: {} } };
const ofAssistant = {
  role: "assistant",
  status: { type: "complete", reason: "stop" },
  metadata: { unstable_state: null, unstable_annotations: [], unstable_data: [], steps: [], custom: {} },
};

function formatted<M, S extends Record<string, unknown>>(
  format: MessageFormatAdapter<M, S>,
  item: MessageFormatItem<M>,
): Stored {
  const id = format.getId(item.message);
  const content = format.encode(item);
  const { parentId } = item;
  if (format.format.startsWith(OF_AI_SDK)) {
    return { id, parentId, message: (storedId) => ({ format: AI_SDK, original: { ...content, id: storedId } }) };
  }
  const role = (["user", "assistant", "system"] as unknown[]).includes(content.role) ? content.role : "assistant";
  const stored = {
    role: role as Role,
    content: contentOf(content.content ?? content.parts),
    format: format.format,
    original: content,
  };
  return { id, parentId, message: () => stored };
}

function readFormatted<M, S extends Record<string, unknown>>(
  adapter: MessageFormatAdapter<M, S>,
  message: Message,
  parentId: string | null,
): MessageFormatItem<M> | null {
  const { format } = adapter;
  const ofAISDK = format.startsWith(OF_AI_SDK);
  let content: JsonObject;
  if (message.format === (ofAISDK ? AI_SDK : format)) {
    content = message.original as JsonObject;
    if (ofAISDK) content = Object.fromEntries(Object.entries(content).filter(([name]) => name !== "id"));
  } else if (ofAISDK && message.role !== "tool" && textOf(message.content) !== "") {
    const role = message.role === "developer" ? "system" : message.role;
    content = { role, parts: [{ type: "text", text: textOf(message.content) }] };
  } else {
    return null;
  }
  return adapter.decode({ id: message.id, parent_id: parentId, format, content: content as S });
}
