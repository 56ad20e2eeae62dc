// The shapes of what the service takes and returns, as they are sent.

export type * from "./branch-models.js";
export type * from "./conversation-models.js";
export type * from "./message-models.js";
export type * from "./operator-models.js";
export type * from "./page-models.js";
export type * from "./search-models.js";
export type * from "./user-models.js";
