// Messages and what is made of them: pages, contexts, answers to changes.

import type { JsonObject, RevisedPage } from "./page-models.js";

export type Role = "user" | "assistant" | "system" | "developer" | "tool";
export type Order = "asc" | "desc";
export type Format = "openai" | "anthropic" | "ai-sdk";

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

/** Items of OpenAI's Conversations API. The ids are empty if there are no items. */
export interface ItemPage {
  data: JsonObject[];
  first_id: string;
  last_id: string;
  has_more: boolean;
}
