// Drafts: answers that others can read while they are being written.

import type { Chunk, MediaType } from "./chunk-lines.js";
import { type Chunks, DraftBody } from "./draft-body.js";
import { ChatkeepError } from "./errors.js";
import type { Draft, DraftPage, EndedDraft } from "./live-models.js";
import type { Message, NewMessage, Page } from "./models.js";
import {
  conversation,
  json,
  type Request,
  revised,
  segment,
  type Signal,
  uuid7,
} from "./requests.js";
import { sleep } from "./retries.js";
import { Sender } from "./sender.js";

const SECONDS = 0.25;
/** Chunks are sent together: after so many seconds, or characters of text or JSON. */
const CHARS = 4_096;
const PAUSE = 0.25;

export interface StartDraft extends Signal {
  /** Without one it gets a UUID. */
  id?: string;
  /** The id of the message that it will become. */
  message_id?: string | null;
  /** Where, as in `appendMessages`. */
  after?: string | null;
  branch?: number;
  /** `text` for chunks of text, otherwise chunks are JSON objects. */
  format?: string;
  metadata?: object | null;
  /** The seconds without a new chunk after which it is interrupted. */
  lease?: number;
  /** Interrupt an active draft; one with the same `id` is taken over with its chunks. */
  supersede?: boolean;
  /** Keep nothing of that one. */
  discard?: boolean;
}

export interface WriteChunks extends Signal {
  epoch: number;
  /** The number of the first of the chunks, from 1. */
  seq: number;
}

export interface FinishDraft extends Signal {
  epoch: number;
  /** The whole message, instead of that of the chunks. */
  message?: NewMessage | null;
}

export interface StreamDraft extends Signal {
  epoch: number;
  /** The number of the first chunk; without it, they go on where the draft is. */
  seq?: number;
  /** Finish the draft at the end. The answer then has its message. */
  finish?: boolean;
  /** What the chunks are pieces of, such as the bytes of another service's answer. */
  media_type?: MediaType;
}

/** Conflicts throw subclasses of `DraftConflictError`, with the draft. */
export class Drafts extends Sender {
  /**
   * Start an answer that is still to be written.
   *
   * Throws `NotFoundError`, and `DraftActiveError` while there is another one.
   */
  async startDraft(conversationId: string, options: StartDraft = {}): Promise<Draft> {
    const { branch, id = uuid7(), signal, ...rest } = options;
    const path = conversation(conversationId, "drafts");
    const body = { id, ...rest };
    return this.send({ method: "POST", path, query: { branch }, body, signal }, json<Draft>);
  }

  /**
   * Add chunks, all or none.
   *
   * Throws `NotFoundError`; `DraftGapError` if chunks before these are missing;
   * `DraftSupersededError` if another producer has taken over; `DraftEndedError`.
   */
  async writeChunks(
    conversationId: string,
    draftId: string,
    chunks: readonly Chunk[],
    options: WriteChunks,
  ): Promise<Draft> {
    const { signal, epoch, seq } = options;
    const path = conversation(conversationId, "drafts", segment(draftId), "chunks");
    return this.send({ method: "POST", path, body: { epoch, seq, chunks }, signal }, json<Draft>);
  }

  /**
   * Write chunks while they come, in long request bodies, as many as it takes. For servers: browsers
   * do not send such bodies over HTTP/1.1.
   *
   * - `chunks`: texts, or JSON objects. With a `media_type` they are pieces of a body of this type,
   *   wherever they are cut.
   * - When a connection breaks or a service stops, the next request goes on behind what is stored.
   *   Each chunk is stored once, in order. What is not stored yet is kept: at most what was sent in
   *   10 seconds, or 256 KB.
   * - An error of `chunks` is thrown when those before it are stored. If this fails otherwise, they
   *   are ended.
   *
   * Throws `NotFoundError`; `DraftSupersededError` if another producer has taken over;
   * `DraftEndedError`; `DraftGapError`; `ConnectionFailedError` if no request gets through.
   */
  async streamDraft(
    conversationId: string,
    draftId: string,
    chunks: Chunks,
    options: StreamDraft,
  ): Promise<EndedDraft> {
    const { epoch, seq, finish = false, media_type, signal } = options;
    const path = conversation(conversationId, "drafts", segment(draftId), "stream");
    const body = new DraftBody(chunks, media_type, seq ?? 0);
    const request = { method: "POST", path, signal };
    let written: EndedDraft;
    try {
      if (seq === undefined) body.first = (await whereIs(this, request, epoch)).draft.next;
      written = await writeBody(this, request, epoch, body);
    } catch (error) {
      await body.stop();
      if (body.failure && error instanceof ChatkeepError) throw body.failure.error;
      throw error;
    }
    if (body.failure) throw body.failure.error;
    if (!finish) return written;
    return this.finishDraft(conversationId, draftId, { epoch, ...(signal && { signal }) });
  }

  /**
   * End a draft and store its message: that of the chunks, or this one.
   *
   * Throws `NotFoundError`, `DraftSupersededError`, `DraftEndedError` and `LimitExceededError`.
   */
  async finishDraft(
    conversationId: string,
    draftId: string,
    options: FinishDraft,
  ): Promise<EndedDraft> {
    const { signal, ...body } = options;
    const path = conversation(conversationId, "drafts", segment(draftId), "finish");
    return this.send({ method: "POST", path, body, signal }, revised<EndedDraft>);
  }

  /**
   * End a draft that is not needed any more; what there is of it becomes a message, if `keep`.
   *
   * Throws `NotFoundError`, and `DraftEndedError` if it has ended otherwise.
   */
  async cancelDraft(
    conversationId: string,
    draftId: string,
    options: Signal & { keep?: boolean } = {},
  ): Promise<EndedDraft> {
    const { keep = true, signal } = options;
    const path = conversation(conversationId, "drafts", segment(draftId), "cancel");
    return this.send({ method: "POST", path, body: { keep }, signal }, revised<EndedDraft>);
  }

  /**
   * Return a draft and its text or chunks, all or those after a chunk.
   *
   * Throws `NotFoundError`; an ended draft can be read for an hour.
   */
  async getDraft(
    conversationId: string,
    draftId: string,
    options: Signal & { after?: number } = {},
  ): Promise<DraftPage> {
    const { signal, ...query } = options;
    const path = conversation(conversationId, "drafts", segment(draftId));
    return this.send({ method: "GET", path, query, signal }, json<DraftPage>);
  }

  /** Return the active draft first, and those that ended in the last hour. */
  async listDrafts(
    conversationId: string,
    options: Signal & { limit?: number } = {},
  ): Promise<Draft[]> {
    const { signal, ...query } = options;
    const path = conversation(conversationId, "drafts");
    return (await this.send({ method: "GET", path, query, signal }, json<Page<Draft>>)).items;
  }

  /**
   * Start a draft, let `write` write it, and finish it. Return its message.
   *
   * If `write` throws, the draft is cancelled: what was written becomes a message that is marked as
   * interrupted. `options` are those of `startDraft`.
   */
  async draft(
    conversationId: string,
    write: (draft: DraftWriter) => Promise<void>,
    options: StartDraft = {},
  ): Promise<Message | null> {
    const writer = new DraftWriter(this, await this.startDraft(conversationId, options));
    try {
      await write(writer);
    } catch (error) {
      await ignoreRefusals(() => writer.flush());
      await ignoreRefusals(() => this.cancelDraft(conversationId, writer.draft.id));
      throw error;
    }
    return writer.finish();
  }
}

/** Writes one draft. `draft` is its latest state, `message` its message when it is finished. */
export class DraftWriter {
  message: Message | null = null;
  #waiting: Chunk[] = [];
  #chars = 0;
  #sentAt = performance.now();
  #isFinished = false;

  /** @internal */
  constructor(
    private readonly client: Drafts,
    public draft: Draft,
  ) {}

  /**
   * Add a chunk. It is sent with others. An empty text is left out.
   *
   * Throws `DraftEndedError` when the user has cancelled it, and `DraftSupersededError`.
   */
  async write(chunk: Chunk): Promise<void> {
    if (chunk === "") return;
    this.#waiting.push(chunk);
    this.#chars += (typeof chunk === "string" ? chunk : JSON.stringify(chunk)).length;
    if (this.#chars >= CHARS || performance.now() - this.#sentAt >= SECONDS * 1000) {
      await this.flush();
    }
  }

  /** Add chunks while they come, in long request bodies: `streamDraft` says how. */
  async stream(chunks: Chunks, options: Signal & { media_type?: MediaType } = {}): Promise<void> {
    await this.flush();
    const { conversation_id, id, epoch, next: seq } = this.draft;
    const written = this.client.streamDraft(conversation_id, id, chunks, { epoch, seq, ...options });
    this.draft = (await written).draft;
    this.#sentAt = performance.now();
  }

  /** Send what was written. */
  async flush(): Promise<void> {
    if (this.#waiting.length === 0) return;
    const { conversation_id, id, epoch, next: seq } = this.draft;
    const sent = this.#waiting.length;
    this.draft = await this.client.writeChunks(conversation_id, id, this.#waiting, { epoch, seq });
    this.#waiting = this.#waiting.slice(sent);
    this.#chars = 0;
    this.#sentAt = performance.now();
  }

  /** Finish the draft now, with a whole `message` if you have one. Return its message. */
  async finish(message?: NewMessage): Promise<Message | null> {
    if (!this.#isFinished) {
      await this.flush();
      const { conversation_id, id, epoch } = this.draft;
      const ended = await this.client.finishDraft(conversation_id, id, {
        epoch,
        ...(message && { message }),
      });
      ({ draft: this.draft, message: this.message } = ended);
      this.#isFinished = true;
    }
    return this.message;
  }
}

/** Return the draft, if this producer may still write it: a body without chunks. */
async function whereIs(sender: Sender, request: Request, epoch: number): Promise<EndedDraft> {
  const content = new DraftBody([], undefined, 1).part();
  return sender.send({ ...request, query: { epoch }, content }, revised<EndedDraft>);
}

/** Send the parts of a body until all is written. */
async function writeBody(
  sender: Sender,
  request: Request,
  epoch: number,
  body: DraftBody,
): Promise<EndedDraft> {
  let attempts = sender.attemptsOf(request);
  for (;;) {
    const query = { epoch, seq: body.first };
    const answer = await sender.attempt({ ...request, query, content: body.part() }, attempts);
    let written: EndedDraft;
    if (typeof answer === "number") {
      await sleep(answer, request.signal);
      written = await whereIs(sender, request, epoch);
    } else {
      written = revised<EndedDraft>(answer);
    }
    if (body.confirm(written.draft.next)) attempts = sender.attemptsOf(request);
    else if (body.isKept) await sleep(PAUSE, request.signal); // a service that stops takes nothing
    if (body.isWritten) return written;
  }
}

async function ignoreRefusals(call: () => Promise<unknown>): Promise<void> {
  try {
    await call();
  } catch (error) {
    if (!(error instanceof ChatkeepError)) throw error;
  }
}
