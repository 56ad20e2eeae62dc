// When a request is sent again, and after how long.

import { ConnectionFailedError, problemOf } from "./errors.js";

const FIRST_WAIT = 0.25;
const LONGEST_WAIT = 8;
/** In seconds, as above. A request that shall wait longer fails at once. */
const MAX_RETRY_AFTER = 60;

/** Errors of Node before anything was sent. Browsers do not tell. */
const NOT_SENT = new Set([
  "ECONNREFUSED",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "EAI_AGAIN",
  "UND_ERR_CONNECT_TIMEOUT",
]);
// 408: the service did not get all of the body. 503 is looked at closer.
const REFUSED = new Set([408, 429]);
const TRANSIENT = new Set([408, 429, 502, 503, 504]);

/**
 * When a request may be sent again: if it surely was not carried out, or also if it may have been.
 *
 * A request that may be repeated `always` has the same effect and answer when it arrives twice.
 */
export type Repeat = "always" | "if refused" | "never";

/** The attempts of one request: after each failure, either a wait or an error. */
export class Attempts {
  mayBeDone = false;
  #wait = FIRST_WAIT;
  #left: number;

  constructor(
    private readonly what: string,
    private readonly repeat: Repeat,
    maxRetries: number,
  ) {
    this.#left = maxRetries;
  }

  /** Return the seconds to wait. Throws `ConnectionFailedError` if this was the last attempt. */
  afterError(error: unknown): number {
    const wasSent = !codesOf(error).some((code) => NOT_SENT.has(code));
    this.mayBeDone ||= wasSent;
    if (!this.#mayRepeat(!wasSent)) {
      const text = [messageOf(error), ...codesOf(error)].join(" ");
      throw new ConnectionFailedError(`${this.what}: ${text}`, this.mayBeDone, { cause: error });
    }
    return this.#nextWait(0);
  }

  /** Return the seconds to wait. Throws the error that the answer means otherwise. */
  afterAnswer(status: number, headers: Headers, text: string): number {
    const problem = problemOf(status, headers, text);
    if (TRANSIENT.has(status)) {
      const refused = REFUSED.has(status) || problem.code === "overloaded";
      this.mayBeDone ||= !refused;
      const asked = problem.retryAfter ?? 0;
      if (asked <= MAX_RETRY_AFTER && this.#mayRepeat(refused)) return this.#nextWait(asked);
    }
    throw problem;
  }

  #mayRepeat(refused: boolean): boolean {
    return this.#left > 0 && (this.repeat === "always" || (this.repeat === "if refused" && refused));
  }

  /** Return at least `asked` seconds, and a random part more, so that callers spread. */
  #nextWait(asked: number): number {
    this.#left -= 1;
    const wait = this.#wait * (0.5 + Math.random() / 2);
    this.#wait = Math.min(2 * this.#wait, LONGEST_WAIT);
    return asked + wait;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Return the codes of an error and its causes; of all, where several addresses were tried. */
function codesOf(error: unknown): string[] {
  const found: string[] = [];
  for (let each = error, depth = 0; each instanceof Error && depth < 5; each = each.cause, depth++) {
    if ("code" in each && typeof each.code === "string") found.push(each.code);
  }
  return found;
}

/** Wait, unless the signal says otherwise. */
export async function sleep(seconds: number, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  await new Promise<void>((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, seconds * 1000);
    signal?.addEventListener("abort", stop, { once: true });
  });
}
