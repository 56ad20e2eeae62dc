// An answer as the bodies of one or several requests, while it is being made.

import { type Chunk, ChunkLines, type MediaType } from "./chunk-lines.js";
import type { Content, Waiting } from "./requests.js";

/**
 * A body ends after so many seconds, or bytes, and another one goes on. So little is held that may
 * be lost, a proxy that waits for the end of a body passes it on, and a producer learns in time that
 * it must stop.
 */
const SECONDS = 10;
const BYTES = 262_144;
const ENCODER = new TextEncoder();

/** What makes the chunks of an answer: an asynchronous iterable, such as a `ReadableStream`. */
export type Chunks =
  | AsyncIterable<Chunk | Uint8Array>
  | Iterable<Chunk | Uint8Array>
  | ReadableStream<Chunk | Uint8Array>;

type ChunkIterator = AsyncIterator<Chunk | Uint8Array> | Iterator<Chunk | Uint8Array>;

/**
 * Makes bodies of chunks, and keeps those that the service may not have.
 *
 * `first` is the number of the first of them. `failure` is the error that ended the chunks.
 */
export class DraftBody {
  failure: { error: unknown } | undefined;
  #chunks: ChunkIterator;
  #lines: ChunkLines;
  #kept: Uint8Array[] = [];
  #hasEnded = false;
  #taking: Promise<void> | undefined;

  constructor(
    chunks: Chunks,
    mediaType: MediaType | undefined,
    public first: number,
  ) {
    this.#chunks = iteratorOf(chunks);
    this.#lines = new ChunkLines(mediaType);
  }

  /** Whether the service has all chunks. */
  get isWritten(): boolean {
    return this.#hasEnded && this.#kept.length === 0;
  }

  /** Whether the service may lack a chunk. */
  get isKept(): boolean {
    return this.#kept.length > 0;
  }

  /** Forget the chunks before this one. Return whether there were any. */
  confirm(next: number): boolean {
    const count = next - this.first;
    if (count <= 0) return false;
    this.#kept.splice(0, count);
    this.first = next;
    return true;
  }

  /** What is kept, and then new chunks for a while, as the content of a request. */
  part(): Content {
    return {
      type: "application/x-ndjson",
      open: (waiting) => {
        const until = performance.now() + SECONDS * 1000;
        let next = this.first;
        let size = 0;
        return new ReadableStream<Uint8Array>(
          {
            pull: async (controller) => {
              const mayTake = (): boolean => size < BYTES && performance.now() < until;
              while (!this.#has(next) && !this.#hasEnded && mayTake()) await this.#take(waiting);
              const line = this.#kept[next - this.first];
              if (line === undefined) return controller.close();
              next += 1;
              size += line.length;
              controller.enqueue(line);
            },
          },
          { highWaterMark: 0 },
        );
      },
    };
  }

  /** Let what makes the chunks end. */
  async stop(): Promise<void> {
    if (!this.#hasEnded) await this.#chunks.return?.();
  }

  #has(number: number): boolean {
    return number - this.first < this.#kept.length;
  }

  /** Keep the next lines, which may be none. A request that broke may still wait for them. */
  async #take(waiting: Waiting): Promise<void> {
    waiting.pause();
    this.#taking ??= this.#read().finally(() => (this.#taking = undefined));
    await this.#taking;
    waiting.goOn();
  }

  async #read(): Promise<void> {
    let lines: string[] = [];
    try {
      const { done, value } = await this.#chunks.next();
      if (done) this.#hasEnded = true;
      lines = done ? this.#lines.end() : this.#lines.read(value);
    } catch (error) {
      this.#hasEnded = true;
      this.failure = { error }; // thrown once the rest is written
    }
    this.#kept.push(...lines.map((line) => ENCODER.encode(line)));
  }
}

function iteratorOf(chunks: Chunks): ChunkIterator {
  if (Symbol.asyncIterator in chunks) return chunks[Symbol.asyncIterator]();
  if (Symbol.iterator in chunks) return chunks[Symbol.iterator]();
  // A browser whose streams cannot be iterated.
  const reader = (chunks as ReadableStream<Chunk | Uint8Array>).getReader();
  return {
    next: async () => {
      const { done, value } = await reader.read();
      return done ? { done, value: undefined } : { done, value };
    },
    return: async () => {
      await reader.cancel();
      return { done: true, value: undefined };
    },
  };
}
