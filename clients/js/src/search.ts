// Searching what was said.

import type { Hit, SearchPage } from "./models.js";
import { json, type Signal } from "./requests.js";
import { Sender } from "./sender.js";

export interface Search extends Signal {
  limit?: number;
  /** `conversation`: only the latest hit of each. */
  group?: "conversation";
  cursor?: string;
}

export class Searches extends Sender {
  /**
   * Return a page of the user's messages, and of conversations by title, latest first.
   *
   * - `q`: words (all of them), `"a phrase"`, `-without`, `OR`, `begin*`, `title:`, `role:`, `in:` (a
   *   conversation), `is:archived`, `has:tool`, `has:file`, `after:2026-01-31`, `before:`. No query
   *   is an error; the page's `query` says how it was read.
   * - A page may have few hits or none: go on until `next_cursor` is null. If it is not `complete`,
   *   search again: each search adds to the index.
   */
  async search(q: string, options: Search = {}): Promise<SearchPage> {
    const { signal, ...rest } = options;
    const query = { q, ...rest };
    return this.send({ method: "GET", path: "/v1/search", query, signal }, json<SearchPage>);
  }

  /** Yield all hits of a search, latest first. */
  async *iterSearch(
    q: string,
    options: Signal & { group?: "conversation"; page_size?: number } = {},
  ): AsyncGenerator<Hit, void, undefined> {
    const { page_size: limit = 100, ...rest } = options;
    let cursor: string | null | undefined;
    do {
      const page = await this.search(q, { ...rest, limit, ...(cursor && { cursor }) });
      yield* page.items;
      cursor = page.next_cursor;
    } while (cursor !== null);
  }
}
