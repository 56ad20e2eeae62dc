/** Adapters for assistant-ui, kept by chatkeep. */

export { createHistory, type ThreadItem } from "./assistant-history.js";
export { createResumableStore, ResumableStreamError } from "./assistant-streams.js";
export { createThreadList, type ThreadListOptions } from "./assistant-threads.js";
