// Resumable streams of assistant-ui: drafts of conversations, whose chunks are the bytes of an answer.

import type { ResumableStreamLease, ResumableStreamStore } from "assistant-stream/resumable";
import type { Chatkeep } from "./client.js";
import {
  ChatkeepError,
  DraftEndedError,
  DraftSupersededError,
  IdTakenError,
  NotFoundError,
} from "./errors.js";
import type { Draft } from "./live-models.js";
import type { JsonObject } from "./models.js";
import { uuid7 } from "./requests.js";

const FORMAT = "assistant-stream";
const TOKEN = "lease";
/** Seconds. */
const LEASE = 60;
const LEAST_LEASE = 5;
const MOST_LEASE = 600;
const WAIT = 20;
/** Bytes of one chunk of a draft. */
const PIECE = 200_000;
const LAST = 2 ** 31 - 1;
const STREAM_ID = /^[A-Za-z0-9_.:-]{1,256}$/;

/** As assistant-stream's own: the stream is another producer's (`missing`), or has ended. */
export class ResumableStreamError extends ChatkeepError {
  constructor(
    readonly code: "missing" | "finalized" | "invalid-id",
    message: string,
  ) {
    super(message);
  }
}

/**
 * Return a store for `createResumableStreamContext` of assistant-stream.
 *
 * A stream is a draft of the conversation that `conversationOf` returns, which is created if it does
 * not exist. So a conversation has one stream at a time; another one throws `DraftActiveError`.
 * Without new bytes for `ttlMs` (a minute, at most ten) it has failed. Ended streams can be read
 * for an hour, also deleted ones.
 */
export function createResumableStore(
  client: Chatkeep,
  conversationOf: (streamId: string) => string,
): ResumableStreamStore & Required<Pick<ResumableStreamStore, "acquireLease">> {
  const place = (streamId: string): [string, string] => {
    if (!STREAM_ID.test(streamId)) {
      throw new ResumableStreamError("invalid-id", `an id of a stream must match ${STREAM_ID}`);
    }
    return [conversationOf(streamId), streamId];
  };
  /** Drafts that were started here, as they were after the last write. */
  const mine = new Map<string, Draft>();

  const writable = async (streamId: string, lease?: ResumableStreamLease): Promise<Draft> => {
    const known = mine.get(streamId);
    const isMine = known && (!lease || known.metadata[TOKEN] === lease.token);
    const draft = isMine ? known : (await client.getDraft(...place(streamId), { after: LAST })).draft;
    if (lease && draft.metadata[TOKEN] !== lease.token) throw superseded(streamId);
    return draft;
  };

  const write = async (draft: Draft, chunks: JsonObject[]): Promise<void> => {
    const { conversation_id, id, epoch, next: seq } = draft;
    const written = await client.writeChunks(conversation_id, id, chunks, { epoch, seq });
    mine.set(id, written);
  };

  /** Write the last chunk, and end the draft without a message. */
  const end = async (draft: Draft, last: JsonObject): Promise<void> => {
    await write(draft, [last]);
    mine.delete(draft.id);
    await client.cancelDraft(draft.conversation_id, draft.id, { keep: false });
  };

  const acquireLease: Required<ResumableStreamStore>["acquireLease"] = async (streamId, options) => {
    const [conversationId, id] = place(streamId);
    const token = uuid7();
    const seconds = Math.ceil((options?.ttlMs ?? LEASE * 1000) / 1000);
    const lease = Math.min(Math.max(seconds, LEAST_LEASE), MOST_LEASE);
    const start = { id, message_id: uuid7(), format: FORMAT, lease, metadata: { [TOKEN]: token } };
    try {
      const draft = await client.startDraft(conversationId, start).catch(async (error: unknown) => {
        if (!(error instanceof NotFoundError)) throw error;
        await client.getOrCreateConversation(conversationId);
        return client.startDraft(conversationId, start);
      });
      mine.set(id, draft);
      return { role: "producer", lease: { token } };
    } catch (error) {
      if (error instanceof IdTakenError) return { role: "consumer" };
      throw error;
    }
  };

  return {
    acquire: async (streamId, options) => (await acquireLease(streamId, options)).role,
    acquireLease,

    append: async (streamId, chunk, lease) => {
      const pieces = cut(chunk);
      try {
        for (const piece of pieces) await write(await writable(streamId, lease), [piece]);
      } catch (error) {
        if (error instanceof NotFoundError) throw notFound(streamId);
        if (error instanceof DraftSupersededError) throw superseded(streamId);
        if (!(error instanceof DraftEndedError)) throw error;
        throw new ResumableStreamError("finalized", `Stream already finalized: ${streamId}`);
      }
    },

    finalize: async (streamId, status, error, lease) => {
      const last = { end: status, ...(status === "error" && { error: error ?? "Stream errored" }) };
      try {
        await end(await writable(streamId, lease), last);
        return true;
      } catch (caught) {
        if (caught instanceof NotFoundError) throw notFound(streamId);
        const isGone =
          caught instanceof DraftSupersededError ||
          caught instanceof DraftEndedError ||
          caught instanceof ResumableStreamError;
        if (!isGone) throw caught;
        return false;
      }
    },

    async *read(streamId, cursor, signal) {
      const [conversationId, id] = place(streamId);
      const wait = Math.min(WAIT, Math.max(1, Math.floor(client.settings.timeout / 2)));
      let after = Number.parseInt(cursor, 10) || 0;
      let events: string | undefined;
      let isThere = false;
      try {
        while (!signal.aborted) {
          const page = await client.getDraft(conversationId, id, { after, signal });
          const chunks = page.chunks ?? [];
          isThere = true;
          after = page.last - chunks.length;
          for (const chunk of chunks) {
            after += 1;
            if (signal.aborted || chunk.end === "done" || chunk.end === "deleted") return;
            if (chunk.end === "error") throw new Error(String(chunk.error));
            yield { cursor: String(after), chunk: toBytes(chunk) };
          }
          if (page.more || chunks.length > 0) continue;
          if (page.draft.status !== "active") throw new Error("Stream expired");
          // From the second time on, after whatever was there before the draft was read.
          const where = events === undefined ? {} : { after: events, wait };
          events = (await client.getEvents(conversationId, { ...where, signal })).next_cursor;
        }
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof NotFoundError)) throw error;
        if (!isThere) throw notFound(streamId);
      }
    },

    status: async (streamId) => {
      const [conversationId, id] = place(streamId);
      try {
        const { draft } = await client.getDraft(conversationId, id, { after: LAST });
        const from = Math.max(draft.next - 2, 0);
        const [last] = (await client.getDraft(conversationId, id, { after: from })).chunks ?? [];
        if (last?.end === "done" || last?.end === "error") return last.end;
        if (last?.end === "deleted") return "missing";
        return draft.status === "active" ? "streaming" : "error";
      } catch (error) {
        if (error instanceof NotFoundError) return "missing";
        throw error;
      }
    },

    delete: async (streamId) => {
      try {
        await end(await writable(streamId), { end: "deleted" });
      } catch (error) {
        if (!(error instanceof NotFoundError || error instanceof DraftEndedError)) throw error;
      }
    },
  };
}

function superseded(streamId: string): ResumableStreamError {
  return new ResumableStreamError("missing", `Stream superseded by a new acquisition: ${streamId}`);
}

function notFound(streamId: string): Error {
  return new Error(`Stream not found: ${streamId}`);
}

/** Return bytes as JSON: as a text, if they are one. */
function cut(bytes: Uint8Array): JsonObject[] {
  const pieces: JsonObject[] = [];
  for (let at = 0; at === 0 || at < bytes.length; at += PIECE) {
    pieces.push(toChunk(bytes.subarray(at, at + PIECE)));
  }
  return pieces;
}

function toChunk(bytes: Uint8Array): JsonObject {
  try {
    return { text: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes) };
  } catch {
    return { base64: btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join("")) };
  }
}

function toBytes({ text, base64 }: JsonObject): Uint8Array {
  if (typeof text === "string") return new TextEncoder().encode(text);
  return Uint8Array.from(atob(String(base64)), (char) => char.charCodeAt(0));
}
