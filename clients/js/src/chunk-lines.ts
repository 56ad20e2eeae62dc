// Chunks of a draft as lines of JSON, so that each has a number that both sides know.

import type { JsonObject } from "./models.js";

/** A piece of text, or a JSON object in drafts of other formats. */
export type Chunk = string | JsonObject;

/** What a body is: the answer's text, chunks as lines of JSON, or as the data of events. */
export type MediaType = "text/plain" | "application/x-ndjson" | "text/event-stream";

const DONE = "[DONE]";

/** Makes lines of chunks; of pieces of a body, wherever they are cut, with its `mediaType`. */
export class ChunkLines {
  #decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  #rest = "";

  constructor(private readonly mediaType: MediaType | undefined) {}

  /** Return the lines that are complete now. An empty text is left out. */
  read(piece: Chunk | Uint8Array): string[] {
    const bytes = piece instanceof Uint8Array;
    return this.#read(bytes ? this.#decoder.decode(piece, { stream: true }) : piece);
  }

  /** Return what is left. Throws `TypeError` for half a character. */
  end(): string[] {
    const last = this.#decoder.decode();
    return this.#isSplit ? this.#read(`${last}\n`) : this.#read(last);
  }

  get #isSplit(): boolean {
    return this.mediaType !== undefined && this.mediaType !== "text/plain";
  }

  #read(piece: Chunk): string[] {
    if (piece === "") return [];
    if (typeof piece !== "string" || !this.#isSplit) return [`${JSON.stringify(piece)}\n`];
    this.#rest += piece;
    if (!piece.includes("\n")) return []; // a long line is split once, however many pieces it has
    const lines = this.#rest.split("\n");
    this.#rest = lines.pop() ?? "";
    return lines.map((line) => this.#chunkOf(line.trim())).filter((line) => line !== "");
  }

  #chunkOf(line: string): string {
    let data = line;
    if (this.mediaType === "text/event-stream") {
      data = line.startsWith("data:") ? line.slice("data:".length).trim() : "";
    }
    return data === "" || data === DONE ? "" : `${data}\n`;
  }
}
