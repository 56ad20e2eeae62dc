// What a search found.

import type { Role } from "./message-models.js";
import type { Page } from "./page-models.js";

/**
 * A message that matches a search, or a conversation whose title does (`kind`).
 *
 * `highlights` are where `snippet` has what was searched, in code points: from the first number up
 * to, but without, the second. The fields from `message_id` on are those of a message.
 */
export interface Hit {
  kind: string;
  conversation_id: string;
  title: string | null;
  snippet: string;
  highlights: [number, number][];
  message_id?: string;
  position?: number;
  branch?: number;
  item_id?: string;
  item_type?: string;
  role?: Role;
  created_at?: string;
}

/** How one part of a query was read. */
export interface QueryPart {
  kind: string;
  written: string;
  field?: string;
  without?: boolean;
  group?: number;
}

/** Hits, latest first. `complete` says whether all was searched; if not, `left` is what was not. */
export interface SearchPage extends Page<Hit> {
  complete: boolean;
  left: { conversations: number; messages: number };
  /** How the query was read, with `notes` for the user. */
  query: { written: string; parts: QueryPart[]; notes: string[] };
}
