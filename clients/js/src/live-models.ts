// The shapes of events and drafts, as they are sent.

import type { Conversation, JsonObject, Message } from "./models.js";

/**
 * Something that happened to a conversation.
 *
 * - `type`: `message.created`, with the `message`, its `parent_id` and `branch`; `message.updated`,
 *   with the `message` as it is now; `message.deleted`, with `message_id`; `conversation.updated`,
 *   with the `conversation` as it is now; `conversation.deleted`; `draft.started`, `draft.finished`
 *   and `draft.interrupted`, with the `draft`; `draft.delta`, with `draft_id`, how the answer goes on
 *   (`text`, or `chunks` of other formats) and the number of its last chunk, `seq`; `stream.idle`.
 *   Later versions may add others.
 * - `cursor`: where to go on behind it; absent in an `EventPage`, which has one for all.
 */
export interface Event {
  type: string;
  conversation_id?: string;
  message?: Message;
  message_id?: string;
  conversation?: Conversation;
  draft?: Draft;
  draft_id?: string;
  seq?: number;
  text?: string;
  chunks?: JsonObject[];
  cursor?: string;
}

/** Events in order; none if nothing happened. `next_cursor` is where to go on. */
export interface EventPage {
  items: Event[];
  next_cursor: string;
}

/**
 * An answer that is being written, or that has ended.
 *
 * - `epoch`: that of its producer; one that takes over gets a higher one. `next`: the number of its
 *   next chunk.
 * - `message_id`: the id that its message will get, or has.
 * - `lease`: the seconds without a new chunk after which it is interrupted, at `deadline`.
 */
export interface Draft {
  id: string;
  conversation_id: string;
  status: string;
  epoch: number;
  next: number;
  message_id: string;
  format: string;
  metadata: JsonObject;
  lease: number;
  started_at: string;
  progress_at: string;
  deadline?: string;
  ended_at?: string;
}

/**
 * A draft and its `text`, or its `chunks` if it has another format.
 *
 * `last` is the last chunk that is in it, and `more` says that others follow already.
 */
export interface DraftPage {
  draft: Draft;
  last: number;
  more: boolean;
  text?: string;
  chunks?: JsonObject[];
}

/** A draft that has ended, and the message that it left; null if it left none. */
export interface EndedDraft {
  draft: Draft;
  message: Message | null;
  revision: number;
}
