// Pages, and any JSON object.

export type JsonObject = Record<string, unknown>;

/** A page. `next_cursor` is null on the last one. */
export interface Page<T> {
  items: T[];
  next_cursor: string | null;
}

/** A page of what is in a conversation, and its revision. */
export interface RevisedPage<T> extends Page<T> {
  revision: number;
}
