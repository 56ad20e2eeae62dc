// Sends requests, again where that is safe.

import {
  type Answer,
  conditions,
  type Expecting,
  type Request,
  revisionOf,
  type Signal,
  toQuery,
  unexpected,
} from "./requests.js";
import { Attempts, sleep } from "./retries.js";

/** A token, or a function that returns the current one. It is called for each attempt. */
export type Token = string | (() => string | Promise<string>);

const JSON_TYPES = "application/json, application/problem+json";

/** @internal */
export interface Settings {
  url: string;
  token: Token;
  user: string | undefined;
  operator: string | undefined;
  timeout: number;
  maxRetries: number;
  fetch: typeof fetch;
}

/** An answer whose body is still to be read, before `end`. Each `goOn` gives it more time. */
export interface Opened {
  url: string;
  response: Response;
  goOn: () => void;
  end: () => void;
}

export class Sender {
  /** @internal */
  readonly settings: Settings;

  /** @internal */
  constructor(settings: Settings) {
    this.settings = settings;
  }

  /** Delete what has a path, and return the revision; null without one. @internal */
  async delete(path: string, options: Expecting & Signal): Promise<number | null> {
    const { signal } = options;
    const headers = conditions(options);
    return this.send({ method: "DELETE", path, headers, goneIsDone: true, signal }, revisionOf);
  }

  /** Send a request, and return what its answer is read as. @internal */
  async send<T>(request: Request, read: (answer: Answer) => T): Promise<T> {
    const attempts = this.attemptsOf(request);
    for (;;) {
      const answer = await this.attempt(request, attempts);
      if (typeof answer !== "number") return read(answer);
      await sleep(answer, request.signal);
    }
  }

  /** Send it once. Return its answer, or the seconds to wait before it is sent again. @internal */
  async attempt(request: Request, attempts: Attempts): Promise<Answer | number> {
    let answer: Answer;
    const { url, init } = await this.#build(request);
    try {
      const { response, end } = await this.#fetch(url, init, request);
      try {
        const { status, headers } = response;
        answer = { url, status, headers, text: await response.text() };
      } finally {
        end();
      }
    } catch (error) {
      request.signal?.throwIfAborted();
      return attempts.afterError(error);
    }
    const { status, headers, text } = answer;
    // A status of 0 is a redirect, in a browser.
    if (status === 0 || (status >= 300 && status < 400 && status !== 304)) throw unexpected(answer);
    if (status < 400 || (status === 404 && request.goneIsDone && attempts.mayBeDone)) return answer;
    return attempts.afterAnswer(status, headers, text);
  }

  /** Send a request, and return its successful answer, whose body is still to be read. @internal */
  async open(request: Request): Promise<Opened> {
    const attempts = this.attemptsOf(request);
    for (;;) {
      let text: string;
      let opened: Opened;
      const { url, init } = await this.#build(request);
      try {
        opened = await this.#fetch(url, init, request);
        if (opened.response.ok) return opened;
        text = await opened.response.text();
        opened.end();
      } catch (error) {
        request.signal?.throwIfAborted();
        await sleep(attempts.afterError(error), request.signal);
        continue;
      }
      const { status, headers } = opened.response;
      if (status < 400) throw unexpected({ url, status, headers, text });
      await sleep(attempts.afterAnswer(status, headers, text), request.signal);
    }
  }

  /** @internal */
  attemptsOf(request: Request): Attempts {
    const what = `${request.method} ${request.path}`;
    return new Attempts(what, request.repeat ?? "always", this.settings.maxRetries);
  }

  async #build(request: Request): Promise<{ url: string; init: RequestInit }> {
    const { token, user, operator } = this.settings;
    const headers = new Headers(request.headers);
    if (!headers.has("Accept")) headers.set("Accept", JSON_TYPES);
    headers.set("Authorization", `Bearer ${typeof token === "string" ? token : await token()}`);
    if (user !== undefined) headers.set("X-User-Id", inUtf8(user));
    if (operator !== undefined) headers.set("X-Operator", inUtf8(operator));
    const init: RequestInit = {
      method: request.method,
      headers,
      cache: "no-store",
      credentials: "omit",
      redirect: "manual",
    };
    if (request.body !== undefined) {
      headers.set("Content-Type", "application/json");
      init.body = JSON.stringify(request.body);
    }
    if (request.content !== undefined) headers.set("Content-Type", request.content.type);
    return { url: this.settings.url + request.path + toQuery(request.query), init };
  }

  async #fetch(url: string, init: RequestInit, request: Request): Promise<Opened> {
    const { signal, content } = request;
    const controller = new AbortController();
    const { timeout, fetch } = this.settings;
    const late = (): void =>
      controller.abort(new DOMException(`no answer within ${timeout} s`, "TimeoutError"));
    const stop = (): void => controller.abort(signal?.reason);
    let timer = setTimeout(late, timeout * 1000);
    signal?.addEventListener("abort", stop);
    if (signal?.aborted) stop();
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
      controller.abort(); // of no effect once the body was read
    };
    const goOn = (): void => {
      clearTimeout(timer);
      timer = setTimeout(late, timeout * 1000);
    };
    try {
      const given: RequestInit & { duplex?: "half" } = { ...init, signal: controller.signal };
      if (content) {
        given.body = content.open({ pause: () => clearTimeout(timer), goOn });
        given.duplex = "half"; // the answer comes after the body
      }
      const response = await fetch(url, given);
      return { url, response, goOn, end };
    } catch (error) {
      end();
      throw error;
    }
  }
}

/** Yield the text of an answer as it comes, and close it at the end. */
export async function* readText(opened: Opened): AsyncGenerator<string, void, undefined> {
  const reader = opened.response.body?.getReader();
  const decoder = new TextDecoder();
  try {
    while (reader) {
      const { done, value } = await reader.read();
      if (done) return;
      opened.goOn();
      yield decoder.decode(value, { stream: true });
    }
  } finally {
    opened.end();
  }
}

/** Return a text as `Headers` takes it to send UTF-8: a character for each byte. */
function inUtf8(text: string): string {
  return String.fromCharCode(...new TextEncoder().encode(text));
}
