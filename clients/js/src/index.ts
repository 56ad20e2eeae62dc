/** A client of chatkeep, which keeps every conversation of a chatbot on its owner's Postgres. */

export { Chatkeep, type Options } from "./client.js";
export type { ChangeBranch, ForkConversation, ListBranches } from "./branches.js";
export type { PatchMessage, ReplaceMessages, TruncateMessages } from "./changes.js";
export type { Chunk, MediaType } from "./chunk-lines.js";
export type { Chunks } from "./draft-body.js";
export type { DraftWriter, FinishDraft, StartDraft, StreamDraft, WriteChunks } from "./drafts.js";
export * from "./errors.js";
export type { Follow, GetEvents } from "./events.js";
export type { ListItems } from "./items.js";
export type { Search } from "./search.js";
export type * from "./live-models.js";
export type * from "./models.js";
export type { AppendMessages, GetContext, GetHistory, GetUIHistory, IterHistory } from "./messages.js";
export type {
  ChangeConversation,
  CreateConversation,
  FindConversations,
  GetOrCreateConversation,
  ListConversations,
} from "./conversations.js";
export type { Expecting, Knowing, Signal } from "./requests.js";
export type { Token } from "./sender.js";
export type { ListAudit, ListUsers } from "./users.js";
