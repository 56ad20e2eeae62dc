// Calls the public API. Reads are repeated while the service is away; changes are not.

import { text } from "./strings.js";

const PAUSES = [500, 1000, 2000, 4000, 8000];
const MAX_WAIT = 30_000;

export class Problem extends Error {
  constructor(status, body) {
    super(body?.detail || body?.title || text.problems.unexpected(status));
    this.status = status;
    this.type = body?.type ?? "";
  }
}

const sleep = (milliseconds, signal) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });

// The path of a resource: each part is percent-encoded, also the two that browsers would resolve.
export function path(...parts) {
  return parts.map((part) => encodeURIComponent(part)).join("/");
}

function address(resource, parameters) {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value !== undefined && value !== null && value !== ""));
  return `../v1/${resource}${query.size ? `?${query}` : ""}`;
}

let asked; // the request that was sent before anybody could wait for its answer

// Sends a read ahead: the first one that is the same gets its answer.
export function ask(credentials, resource, parameters) {
  const url = address(resource, parameters);
  asked = { key: JSON.stringify([credentials, url]), response: fetch(url, { headers: new Api(credentials).headers(), cache: "no-store" }) };
  asked.response.catch(() => {}); // who waits for it sees to it
}

export class Api extends EventTarget {
  constructor(credentials) {
    super();
    this.credentials = credentials;
    this.isAway = false;
  }

  headers() {
    const { token, user, operator } = this.credentials;
    const Authorization = `Bearer ${token}`;
    // With a service key, the service writes down who asks (docs/audit.md).
    return user ? { Authorization, "X-User-Id": latin(user), "X-Operator": latin(operator || text.operator.anonymous) } : { Authorization };
  }

  async get(resource, parameters = {}, { signal } = {}) {
    return (await this.read(resource, parameters, { signal })).json();
  }

  // Answers to reads come in the end, or the signal ends them.
  async read(resource, parameters = {}, { signal } = {}) {
    const url = address(resource, parameters);
    for (let attempt = 0; ; attempt++) {
      let wait = PAUSES[Math.min(attempt, PAUSES.length - 1)];
      let isAway = true;
      try {
        const response = await (this.takeAsked(url) ?? fetch(url, { headers: this.headers(), signal, cache: "no-store" }));
        if (![429, 502, 503, 504].includes(response.status)) {
          this.setAway(false);
          return await this.check(response);
        }
        if (response.status === 429) isAway = false;
        const seconds = Number(response.headers.get("Retry-After"));
        if (seconds > 0) wait = Math.min(seconds * 1000, MAX_WAIT);
      } catch (error) {
        if (error instanceof Problem || signal?.aborted) throw error;
      }
      if (isAway) this.setAway(true);
      await sleep(wait * (0.8 + Math.random() * 0.4), signal);
    }
  }

  takeAsked(url) {
    if (asked?.key !== JSON.stringify([this.credentials, url])) return undefined;
    const { response } = asked;
    asked = undefined;
    return response;
  }

  async send(method, resource, body) {
    const headers = this.headers();
    if (body !== undefined) headers["Content-Type"] = "application/json";
    let response;
    try {
      response = await fetch(`../v1/${resource}`, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
    } catch {
      throw new Problem(0, { detail: text.problems.network });
    }
    await this.check(response);
    return response.status === 204 ? null : response.json();
  }

  async check(response) {
    if (response.ok) return response;
    const body = await response.json().catch(() => null);
    if (response.status === 401) this.dispatchEvent(new CustomEvent("refused", { detail: body?.detail ?? "" }));
    throw new Problem(response.status, body);
  }

  setAway(isAway) {
    if (isAway === this.isAway) return;
    this.isAway = isAway;
    this.dispatchEvent(new Event("away"));
  }
}

// Header values are bytes: the service reads those of X-User-Id as UTF-8.
function latin(value) {
  return String.fromCharCode(...new TextEncoder().encode(value));
}
