// Requests as values, what is in them, and how their answers are read.

import { NotModifiedError, UnexpectedAnswerError } from "./errors.js";
import type { NewMessage } from "./models.js";
import type { Repeat } from "./retries.js";

const SHOWN = 200;

/** Ends a call early: its promise is rejected with the signal's reason. */
export interface Signal {
  signal?: AbortSignal;
}

/** Only if the conversation has this revision; otherwise `RevisionConflictError`. */
export interface Expecting {
  expected_revision?: number;
}

/** Throw `NotModifiedError` if the conversation still has this revision. */
export interface Knowing {
  known_revision?: number;
}

/** The timeout of a request whose body is being made: it waits while there is nothing to send. */
export interface Waiting {
  pause: () => void;
  goOn: () => void;
}

/** A body that is made while it is sent. */
export interface Content {
  type: string;
  open: (waiting: Waiting) => ReadableStream<Uint8Array>;
}

export interface Request {
  method: string;
  /** Encoded, without the address of the service. */
  path: string;
  query?: object;
  headers?: Record<string, string>;
  body?: unknown;
  content?: Content;
  repeat?: Repeat;
  /** A 404 to a repeated request means that an earlier attempt did it. */
  goneIsDone?: boolean;
  signal?: AbortSignal | undefined;
}

/** An answer whose body was read. */
export interface Answer {
  url: string;
  status: number;
  headers: Headers;
  text: string;
}

/** Return the path of a conversation, or of something in it. */
export function conversation(conversationId: string, ...more: string[]): string {
  return ["/v1/conversations", segment(conversationId), ...more].join("/");
}

/** Return an id, percent-encoded. Throws `TypeError` for one that cannot be in a path. */
export function segment(id: string): string {
  if (typeof id !== "string" || ["", ".", ".."].includes(id)) {
    throw new TypeError(`an id cannot be ${JSON.stringify(id)}`);
  }
  return encodeURIComponent(id);
}

/** Return the query of a URL. Values that are undefined, null or false are left out. */
export function toQuery(values: object = {}): string {
  const sent: string[] = [];
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined || value === null || value === false) continue;
    const text = value instanceof Date ? value.toISOString() : String(value);
    sent.push(`${encodeURIComponent(name)}=${encodeURIComponent(text)}`);
  }
  return sent.length > 0 ? `?${sent.join("&")}` : "";
}

/** Return the headers with these revisions. */
export function conditions(options: Expecting & Knowing): Record<string, string> {
  const headers: Record<string, string> = {};
  if (options.expected_revision !== undefined) headers["If-Match"] = `"${options.expected_revision}"`;
  if (options.known_revision !== undefined) headers["If-None-Match"] = `"${options.known_revision}"`;
  return headers;
}

/**
 * Return messages and a key of a request that may be sent again.
 *
 * One id is enough for all messages. Where a message has an `original`, its id may be in there, so
 * such a message gets none.
 */
export function repeatable(
  messages: readonly NewMessage[],
  key: string | undefined,
): { messages: readonly NewMessage[]; key: string | undefined } {
  const hasId = messages.some((message) => message.id !== undefined && message.id !== null);
  if (key !== undefined || hasId) return { messages, key };
  const first = messages.findIndex((message) => message.original === undefined);
  if (first < 0) return { messages, key: uuid7() };
  const withId = messages.map((message, place) =>
    place === first ? { ...message, id: uuid7() } : message,
  );
  return { messages: withId, key };
}

/** Return a UUID of version 7, which begins with the time. */
export function uuid7(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(10));
  bytes[0] = ((bytes[0] ?? 0) & 0x0f) | 0x70;
  bytes[2] = ((bytes[2] ?? 0) & 0x3f) | 0x80;
  const random = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const text = Date.now().toString(16).padStart(12, "0") + random;
  return [
    text.slice(0, 8),
    text.slice(8, 12),
    text.slice(12, 16),
    text.slice(16, 20),
    text.slice(20),
  ].join("-");
}

/** Read the body of an answer, an object. */
export function json<T extends object>(answer: Answer): T {
  if (answer.status === 304) throw new NotModifiedError(revisionOf(answer) ?? 0);
  let found: unknown;
  try {
    found = JSON.parse(answer.text);
  } catch {
    found = null;
  }
  if (typeof found !== "object" || found === null || answer.status >= 300) throw unexpected(answer);
  return found as T;
}

/** Read the body of an answer, and the revision of its `ETag`. */
export function revised<T extends object>(answer: Answer): T {
  return { ...json<T>(answer), revision: revisionOf(answer) ?? 0 };
}

/** Whether the request created something. */
export function created(answer: Answer): boolean {
  return answer.status === 201;
}

/** Return the revision in the `ETag`; null without one. */
export function revisionOf(answer: Answer): number | null {
  const found = /^(?:W\/)?"(\d+)"$/.exec(answer.headers.get("etag") ?? "");
  return found ? Number(found[1]) : null;
}

export function nothing(): void {}

/** Return the error of an answer that cannot be read. */
export function unexpected(answer: Answer): UnexpectedAnswerError {
  return new UnexpectedAnswerError(
    `${answer.url} answered ${answer.status} with another body than chatkeep would: ` +
      JSON.stringify(answer.text.slice(0, SHOWN)),
  );
}
