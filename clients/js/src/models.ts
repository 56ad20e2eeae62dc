// The shapes of what the service takes and returns, as they are sent.

export type Role = "user" | "assistant" | "system" | "developer" | "tool";
export type Status = "active" | "archived";
export type Order = "asc" | "desc";
export type Format = "openai" | "anthropic" | "ai-sdk";
export type JsonObject = Record<string, unknown>;

/**
 * A message to store.
 *
 * - `content`: a text, or a list of parts as in OpenAI's chat API; null only for an assistant that
 *   only calls tools.
 * - `tool_calls`: the assistant's calls, in the form of OpenAI's chat API. `tool_call_id`: for the
 *   role tool, the call that it answers.
 * - `id`: a UUID or any other text of 1 to 255 characters.
 * - `tokens`: how many it is for the model; otherwise contexts estimate them.
 * - `starts_context`: contexts begin with it from now on.
 * - `original`: your own document of it, any JSON; `format` is its name, such as `ai-sdk`. For
 *   `ai-sdk` and `openai` the other fields are read from it.
 */
export interface NewMessage {
  role?: Role;
  content?: string | readonly object[] | null;
  tool_calls?: readonly object[] | null;
  tool_call_id?: string | null;
  name?: string | null;
  metadata?: object | null;
  id?: string | null;
  tokens?: number | null;
  starts_context?: boolean;
  format?: string | null;
  original?: unknown;
}

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

/**
 * A message as it is stored.
 *
 * - `content`: a text, or a list of parts; null for an assistant that only calls tools.
 * - `edited_at`: the time of the last edit.
 * - `original`: the client's own document, only if requested.
 * - `parent_id` and `branch`: the message before it (null for the first one) and the branch that it
 *   was written in, if a branch was requested.
 */
export interface Message {
  id: string;
  conversation_id: string;
  role: Role;
  content: string | JsonObject[] | null;
  tool_calls: JsonObject[] | null;
  tool_call_id: string | null;
  name: string | null;
  metadata: JsonObject;
  created_at: string;
  tokens?: number;
  starts_context?: boolean;
  edited_at?: string;
  format?: string;
  original?: unknown;
  parent_id?: string | null;
  branch?: number;
}

/** A message after a put or a patch. `created` says whether it is new, at the end. */
export interface StoredMessage extends Message {
  revision: number;
  created: boolean;
}

/** A page. `next_cursor` is null on the last one. */
export interface Page<T> {
  items: T[];
  next_cursor: string | null;
}

/** A page of what is in a conversation, and its revision. */
export interface RevisedPage<T> extends Page<T> {
  revision: number;
}

/** Conversations, latest first. It may be short, or empty, before the last page. */
export interface ConversationPage extends Page<Conversation> {
  /** If requested: how many match; at least `value` if not `exact` (there are over 10,000). */
  count?: { value: number; exact: boolean };
}

/** Messages. `previous_cursor` leads to earlier ones, latest first, from a page around a message. */
export interface MessagePage extends RevisedPage<Message> {
  previous_cursor?: string | null;
}

/** A message of the AI SDK; its own type fits, too. */
export interface UIMessage {
  id: string;
  role: "system" | "user" | "assistant";
  metadata?: unknown;
  parts: JsonObject[];
}

/** A content part that the model's API does not take; `part` is its place, from 0. */
export interface OmittedPart {
  message_id: string;
  part: number;
  type: string;
  reason: string;
}

/**
 * The messages for the next call of the model, oldest first, in its `format`.
 *
 * - `system`: for Anthropic, the system prompt.
 * - `truncated`: whether a limit left out messages.
 * - `starts_at`, `replaced`: the message with `starts_context` that it begins with, and how many
 *   earlier ones that replaces.
 * - `omitted`: content parts that the API does not take.
 */
export interface Context {
  format: Format;
  messages: JsonObject[];
  truncated: boolean;
  system?: string | null;
  starts_at?: string;
  replaced?: number;
  omitted?: OmittedPart[];
}

export interface RevisedContext extends Context {
  revision: number;
}

/**
 * The stored messages, and the context that ends with them if it was requested.
 *
 * - `branch`: where they are, in a conversation that has branches.
 * - `warning`: the conversation is longer than the service recommends.
 */
export interface Appended {
  messages: Message[];
  branch?: number;
  context?: Context;
  revision: number;
  warning: string | null;
}

/** How many messages were deleted, and how many are left. */
export interface Truncated {
  deleted: number;
  message_count: number;
  revision: number;
}

/** The new messages as they are stored. A repeated request deletes none. */
export interface Replaced {
  messages: Message[];
  deleted: number;
  message_count: number;
  revision: number;
}

/**
 * One path through a conversation.
 *
 * `parent` is the branch that it left, `left_at` the last message that it shares, `tip` its last
 * message.
 */
export interface Branch {
  number: number;
  name: string | null;
  is_current: boolean;
  parent: number | null;
  left_at: string | null;
  tip: string | null;
  created_at: string;
}

/** A message that continues from the same message as another one, and its branch. */
export interface Sibling {
  id: string;
  branch: number;
  is_current: boolean;
}

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

/** Items of OpenAI's Conversations API. The ids are empty if there are no items. */
export interface ItemPage {
  data: JsonObject[];
  first_id: string;
  last_id: string;
  has_more: boolean;
}

/** How much the user has stored. `retained` is how many conversations are on hold. */
export interface Usage {
  user_id: string;
  conversations: number;
  active: number;
  archived: number;
  messages: number;
  retained: number;
}

/** A user. At most 1,000 conversations are counted; without any there is no activity. */
export interface ListedUser {
  id: string;
  conversations: { value: number; exact: boolean };
  latest_activity: string | null;
}

/** Users by id. `next_cursor` is null on the last page. */
export type UserPage = Page<ListedUser>;

/** The service as a whole. Without a database it has no storage and no latencies. */
export interface Overview {
  at: string;
  totals: { users: number | null; conversations: number | null; messages: number | null; estimated: boolean };
  days: { day: string; messages: { value: number; exact: boolean } }[];
  drafts: { active: number; interrupted: number; exact: boolean };
  last_sweep: { due: string; finished_at: string | null; archived: number; deleted: number; retained: number } | null;
  /** The last result of `chatkeep doctor`; `healthy` if nothing failed. */
  last_examination: {
    at: string;
    healthy: boolean;
    ok: number;
    warnings: number;
    failed: number;
    skipped: number;
    promises_kept: number;
    promises_broken: number;
  } | null;
  storage: {
    stored_bytes: number;
    database_bytes: number;
    bytes_per_day: number | null;
    plan_bytes: number | null;
    days_left: number | null;
  } | null;
  latencies: {
    bounds_ms: number[];
    counts: number[];
    p50_ms: number | null;
    p95_ms: number | null;
    p99_ms: number | null;
  } | null;
}

/** What an operator asked for. `action` is the `operationId` of the request. */
export interface AuditLine {
  id: string;
  at: string;
  operator: string;
  user_id: string;
  action: string;
  conversation_id: string | null;
  message_id: string | null;
}

/** Lines of the audit, latest first. `next_cursor` is null on the last page. */
export type AuditPage = Page<AuditLine>;

/** A user who may own conversations. `created` says whether they are new. */
export interface User {
  id: string;
  created: boolean;
}
