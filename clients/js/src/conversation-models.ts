// Conversations and their lists.

import type { Message } from "./message-models.js";
import type { JsonObject, Page } from "./page-models.js";

export type Status = "active" | "archived";

/** Where a conversation was forked from. `message_id` is the last message that was copied. */
export interface ForkedFrom {
  conversation_id: string;
  message_id: string | null;
}

/**
 * A conversation, without its messages. Times are ISO 8601 texts.
 *
 * - `updated_at`: the time of the last activity, an append.
 * - `retain`: a hold; nothing in it can be deleted or rewritten.
 * - `revision`: grows with every change of it or its messages.
 * - `branch`: the current branch, if it has branched.
 */
export interface Conversation {
  id: string;
  title: string | null;
  status: Status;
  metadata: JsonObject;
  message_count: number;
  created_at: string;
  updated_at: string;
  retain: boolean;
  revision: number;
  branch?: number;
  forked_from?: ForkedFrom;
}

/** A conversation. `created` says whether this request created it. */
export interface FoundConversation extends Conversation {
  created: boolean;
}

/** A new conversation, with its first `messages` as they are stored. */
export interface CreatedConversation extends Conversation {
  messages?: Message[];
}

/** Conversations, latest first. It may be short, or empty, before the last page. */
export interface ConversationPage extends Page<Conversation> {
  /** If requested: how many match; at least `value` if not `exact` (there are over 10,000). */
  count?: { value: number; exact: boolean };
}
