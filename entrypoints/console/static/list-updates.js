// Keeps the list true: it follows the events of all conversations, and lets the list read again what
// has moved. However much happens, that is one page each pause.

import { follow } from "./live.js";

const TYPES = ["conversation.created", "conversation.updated", "conversation.deleted", "message.created", "message.deleted"].join(",");
const SOON = 300; // milliseconds: what comes together is shown together

export function followList(api, list, signal) {
  const pause = api.credentials.user ? 10_000 : 1000; // what operators read is in the audit
  let last = -pause;
  let isWanted = false;
  let isRunning = false;

  async function soon() {
    isWanted = true;
    if (isRunning) return;
    isRunning = true;
    while (isWanted && !signal.aborted) {
      await new Promise((resolve) => setTimeout(resolve, Math.max(SOON, last + pause - performance.now())));
      if (signal.aborted) return;
      isWanted = false;
      last = performance.now();
      await list.update().catch(() => {}); // what is shown stays, and the next event tries again
    }
    isRunning = false;
  }

  function happened(event) {
    list.happened(event);
    soon();
  }

  // When a stream begins, and when it begins anew, something may have been missed.
  const start = () => follow(api, "events", { types: TYPES, happened, began: soon, lost: start }, signal);
  return start();
}
