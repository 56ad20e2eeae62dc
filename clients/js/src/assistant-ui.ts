/** Adapters for assistant-ui, kept by chatkeep. */

export { createHistory, type ThreadItem } from "./assistant-history.js";
export { createThreadList, type ThreadListOptions } from "./assistant-threads.js";
