// Follows a conversation: server-sent events, read with fetch, since EventSource sends no token.

import { Problem } from "./api.js";

const PAUSES = [500, 1000, 2000, 5000, 10_000];

// Calls `happened(event)` for each event from now on, until the signal is aborted. A broken stream is
// taken up where it ended. A stream that ended because nothing happened waits until the page is
// looked at again, so that a database can sleep. `began()` is called when a stream begins with now:
// what was stored before may be missing in the page.
export async function follow(api, resource, { happened, began }, signal) {
  let after;
  for (let failures = 0; !signal.aborted; ) {
    let isIdle = false;
    try {
      const response = await fetch(`../v1/${resource}${after ? `?after=${encodeURIComponent(after)}` : ""}`, {
        headers: { ...api.headers(), Accept: "text/event-stream" },
        signal,
        cache: "no-store",
      });
      if (response.status >= 400 && response.status < 500 && response.status !== 429) await api.check(response);
      if (response.status === 200) {
        if (!after) began();
        for await (const { id, type, data } of events(response.body)) {
          failures = 0;
          if (id) after = id;
          if (type === "stream.idle") isIdle = true;
          else if (data) happened(JSON.parse(data));
        }
      }
    } catch (error) {
      if (signal.aborted || error instanceof Problem) return;
    }
    if (isIdle) await looked(signal);
    else await pause(PAUSES[Math.min(failures++, PAUSES.length - 1)] * (0.8 + Math.random() * 0.4), signal);
  }
}

async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let event = {};
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split(/\r?\n/u);
    rest = lines.pop();
    for (const line of lines) {
      if (!line) {
        yield event;
        event = {};
        continue;
      }
      const colon = line.indexOf(":");
      const name = colon < 0 ? line : line.slice(0, colon);
      const value = line.slice(colon + 1).replace(/^ /u, "");
      if (name === "id") event.id = value;
      else if (name === "event") event.type = value;
      else if (name === "data") event.data = event.data === undefined ? value : `${event.data}\n${value}`;
    }
  }
}

function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

function looked(signal) {
  return new Promise((resolve) => {
    const done = () => {
      if (document.hidden && !signal.aborted) return;
      for (const name of ["pointermove", "keydown", "visibilitychange"]) document.removeEventListener(name, done);
      resolve();
    };
    for (const name of ["pointermove", "keydown", "visibilitychange"]) document.addEventListener(name, done);
    signal.addEventListener("abort", done);
  });
}
