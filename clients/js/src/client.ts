// The client itself: the address, and whom it calls for.

import { Branches } from "./branches.js";
import { Changes } from "./changes.js";
import { Conversations } from "./conversations.js";
import { Drafts } from "./drafts.js";
import { Events } from "./events.js";
import { Items } from "./items.js";
import { Messages } from "./messages.js";
import { Searches } from "./search.js";
import { Sender, type Token } from "./sender.js";
import { Users } from "./users.js";

const TIMEOUT = 30;
const MAX_RETRIES = 6;

export interface Options {
  /** The token of the user, or a function that returns the current one. */
  token?: Token;
  /** A service key; `user` is whom it acts for. Never give it to a browser. */
  serviceKey?: string;
  user?: string;
  /** Who reads what users wrote, with a service key: the name in the lines of the audit. */
  operator?: string;
  /** Seconds for each attempt; for streams, without any byte. 30 by default. */
  timeout?: number;
  /** How often a request is sent again at most. 6 by default. */
  maxRetries?: number;
  /** Another `fetch`, for example through a proxy. */
  fetch?: typeof fetch;
}

const PARTS = [Conversations, Messages, Changes, Branches, Drafts, Events, Searches, Items, Users];

export interface Chatkeep
  extends Conversations,
    Messages,
    Changes,
    Branches,
    Drafts,
    Events,
    Searches,
    Items,
    Users {}

/**
 * Calls the API of one service; each method is named like the operation of its document.
 *
 * A request whose answer is lost, that is refused with 429 or 503, or that cannot connect is sent
 * again, at most `maxRetries` times: after 0.25 s, then 0.5, 1, 2, 4 and 8 s, less a random part of
 * up to a half, and later if `Retry-After` says so. It is sent again only if that is safe: appends
 * and creates get an id for it, so that nothing is stored twice.
 */
export class Chatkeep extends Sender {
  constructor(url: string, options: Options) {
    const { token, serviceKey, user, operator, timeout = TIMEOUT, maxRetries = MAX_RETRIES } = options;
    const credential = serviceKey ?? token;
    if (credential === undefined || (token !== undefined && serviceKey !== undefined)) {
      throw new TypeError("give either `token` or `serviceKey`");
    }
    if (user !== undefined && serviceKey === undefined) {
      throw new TypeError("`user` needs a `serviceKey`; a token is already of one user");
    }
    if (operator !== undefined && serviceKey === undefined) {
      throw new TypeError("`operator` needs a `serviceKey`; the audit is not about users' own requests");
    }
    if (!/^https?:\/\/[^/]/.test(url)) {
      throw new TypeError(`the URL of the service must begin with http:// or https://: ${url}`);
    }
    checkHeader("a user", user);
    checkHeader("an operator", operator);
    super({
      url: url.replace(/\/+$/, ""),
      token: credential,
      user,
      operator,
      timeout,
      maxRetries,
      // Browsers refuse a `fetch` that is called as a method of something else.
      fetch: options.fetch ?? ((input, init) => globalThis.fetch(input, init)),
    });
  }

  /** The address of the service. */
  get url(): string {
    return this.settings.url;
  }

  /** Return a client that acts for this user, for a service key. */
  asUser(user: string): Chatkeep {
    const { token: serviceKey, operator, ...others } = this.settings;
    if (typeof serviceKey !== "string") {
      throw new TypeError("`asUser` needs a `serviceKey`; a token is already of one user");
    }
    return new Chatkeep(others.url, {
      ...others,
      serviceKey,
      user,
      ...(operator !== undefined && { operator }),
    });
  }
}

function checkHeader(what: string, name: string | undefined): void {
  if (name === undefined) return;
  if (name !== name.trim() || name === "" || /[\u0000-\u001f\u007f]/.test(name)) {
    throw new TypeError(
      `${what} cannot be ${JSON.stringify(name)}: headers keep no spaces around it, and no controls`,
    );
  }
}

for (const part of PARTS) {
  for (const name of Object.getOwnPropertyNames(part.prototype)) {
    if (name === "constructor") continue;
    const method = Object.getOwnPropertyDescriptor(part.prototype, name);
    if (method) Object.defineProperty(Chatkeep.prototype, name, method);
  }
}
