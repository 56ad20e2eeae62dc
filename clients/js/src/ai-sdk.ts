// Helpers for routes of chat pages on Vercel's AI SDK, for example of Next.js.

import type { Chatkeep } from "./client.js";
import { DraftWriter, type StartDraft } from "./drafts.js";
import { DraftEndedError, DraftSupersededError, NotFoundError } from "./errors.js";
import type { JsonObject, NewMessage, UIMessage } from "./models.js";
import { nothing, segment, type Signal } from "./requests.js";
import { readText } from "./sender.js";

const PAGE = 100;
const BATCH = 100;
const FORMAT = "ai-sdk";
const INTERRUPTED = { type: "error", errorText: "The answer was interrupted." };
const HEADERS = {
  "content-type": "text/event-stream",
  "cache-control": "no-cache",
  "x-vercel-ai-ui-message-stream": "v1",
  "x-accel-buffering": "no",
};

/** What a message has in any case; the AI SDK's own type and narrower ones of yours fit. */
export interface AnyUIMessage {
  id: string;
}

/** Return the messages of a chat, oldest first; none for a new one. */
export async function loadChat<M extends AnyUIMessage = UIMessage>(
  client: Chatkeep,
  chatId: string,
  options: Signal = {},
): Promise<M[]> {
  return load<M>(client, chatId, options);
}

async function load<M extends AnyUIMessage>(
  client: Chatkeep,
  chatId: string,
  options: Signal & { branch?: "all" },
): Promise<M[]> {
  const found: M[] = [];
  let cursor: string | null | undefined;
  try {
    do {
      const where = cursor ? { cursor } : options;
      const { signal } = options;
      const page = await client.getUIHistory<M>(chatId, { limit: PAGE, ...where, ...(signal && { signal }) });
      found.push(...page.items);
      cursor = page.next_cursor;
    } while (cursor !== null);
  } catch (error) {
    if (!(error instanceof NotFoundError)) throw error;
  }
  return found;
}

/**
 * Store messages of a chat: all of them, or only new ones. Sent again, it changes nothing.
 *
 * One whose id is known replaces that one, if it differs, and keeps its place. Others are appended
 * behind the message before them. If that is not the last one of the chat, a branch starts there,
 * as for an answer that was generated again: nothing is deleted. The chat is created if it does not
 * exist.
 */
export async function saveChat(
  client: Chatkeep,
  chatId: string,
  messages: readonly AnyUIMessage[],
  options: Signal = {},
): Promise<void> {
  await client.getOrCreateConversation(chatId, options);
  const stored = await load(client, chatId, { ...options, branch: "all" });
  const known = new Map(stored.map((message) => [message.id, JSON.stringify(message)]));
  let before: string | undefined;
  for (let place = 0; place < messages.length; ) {
    const message = messages[place] as AnyUIMessage;
    const text = known.get(message.id);
    if (text !== undefined) {
      if (text !== JSON.stringify(message)) {
        await client.putMessage(chatId, message.id, toNew(message), options);
      }
      before = message.id;
      place += 1;
      continue;
    }
    let end = place + 1;
    while (end < messages.length && end - place < BATCH && !known.has(messages[end]?.id ?? "")) end += 1;
    const added = messages.slice(place, end);
    const where = before === undefined ? {} : { after: before };
    await client.appendMessages(chatId, added.map(toNew), { ...where, ...options });
    before = added.at(-1)?.id;
    place = end;
  }
}

function toNew(message: AnyUIMessage): NewMessage {
  return { format: FORMAT, original: message };
}

/** A draft is started with these options; `message_id` is that of the stream, if it has one. */
export interface StreamChat extends Omit<StartDraft, "format" | "signal"> {
  /** Called when the user has stopped the answer: stop the model. */
  onStop?: () => void;
  /** Keeps the process alive until the answer is stored, such as `after` of Next.js. */
  waitUntil?: (stored: Promise<void>) => void;
}

/**
 * Answer a POST of `useChat` with a stream of UI message chunks, and keep it: a draft while it is
 * written, its message at the end.
 *
 * It is written to its end also if the reader leaves, who can take it up by `resumeChat`. Throws
 * `NotFoundError`, and `DraftActiveError` while another answer is being written.
 */
export async function streamChat<C extends { type: string }>(
  client: Chatkeep,
  chatId: string,
  chunks: ReadableStream<C>,
  options: StreamChat = {},
): Promise<Response> {
  const { onStop, waitUntil, ...start } = options;
  const reader = chunks.getReader();
  let draft: DraftWriter;
  let first: JsonObject | undefined;
  try {
    first = (await reader.read()).value as JsonObject | undefined;
    const given = first?.type === "start" && typeof first.messageId === "string" ? first.messageId : null;
    const named = given === null ? start : { ...start, message_id: given };
    draft = new DraftWriter(client, await client.startDraft(chatId, { ...named, format: FORMAT }));
  } catch (error) {
    void reader.cancel(error).catch(() => undefined);
    throw error;
  }
  if (first?.type === "start") first = { ...first, messageId: draft.draft.message_id };
  const output = new Output();
  const stored = copy(reader, first, draft, output)
    .catch(async (error: unknown) => {
      const isStopped = error instanceof DraftEndedError || error instanceof DraftSupersededError;
      output.send(isStopped ? { type: "abort" } : INTERRUPTED);
      if (isStopped) onStop?.();
      else await keepInterrupted(client, draft);
      await reader.cancel(error).catch(() => undefined);
    })
    .finally(() => output.end());
  waitUntil?.(stored);
  return new Response(output.stream, { headers: HEADERS });
}

async function copy(
  reader: ReadableStreamDefaultReader<unknown>,
  first: JsonObject | undefined,
  draft: DraftWriter,
  output: Output,
): Promise<void> {
  let chunk = first;
  while (chunk !== undefined) {
    output.send(chunk);
    await draft.write(chunk);
    chunk = (await reader.read()).value as JsonObject | undefined;
  }
  await draft.finish();
}

/** Store what there is of an answer; if that fails, too, the service does it at the deadline. */
async function keepInterrupted(client: Chatkeep, draft: DraftWriter): Promise<void> {
  const { conversation_id, id } = draft.draft;
  await draft.flush().catch(() => undefined);
  await client.cancelDraft(conversation_id, id).catch(() => undefined);
}

/** A stream of server-sent events. It takes more also when its reader has left. */
class Output {
  #controller: ReadableStreamDefaultController<Uint8Array> | null = null;
  readonly stream = new ReadableStream<Uint8Array>({
    start: (controller) => {
      this.#controller = controller;
    },
    cancel: () => {
      this.#controller = null;
    },
  });

  send(chunk: object): void {
    this.#write(JSON.stringify(chunk));
  }

  end(): void {
    this.#write("[DONE]");
    this.#controller?.close();
  }

  #write(data: string): void {
    this.#controller?.enqueue(new TextEncoder().encode(`data: ${data}\n\n`));
  }
}

/** Answer the GET with which `useChat({ resume: true })` takes up an answer; 204 if there is none. */
export async function resumeChat(
  client: Chatkeep,
  chatId: string,
  options: Signal = {},
): Promise<Response> {
  const path = `/ai-sdk/${segment(chatId)}/stream`;
  const headers = { Accept: "text/event-stream" };
  const opened = await client.open({ method: "GET", path, headers, ...options });
  if (opened.response.status === 204) {
    opened.end();
    return new Response(null, { status: 204 });
  }
  const pieces = readText(opened);
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    pull: async (controller) => {
      const piece = await pieces.next();
      if (piece.done) controller.close();
      else controller.enqueue(encoder.encode(piece.value));
    },
    cancel: async () => {
      opened.end();
      await pieces.return();
    },
  });
  return new Response(body, { headers: HEADERS });
}

/** Stop the answer that is being written, from any tab. What there is of it becomes a message. */
export async function stopChat(
  client: Chatkeep,
  chatId: string,
  options: Signal = {},
): Promise<void> {
  await client.send({ method: "POST", path: `/ai-sdk/${segment(chatId)}/stop`, ...options }, nothing);
}
