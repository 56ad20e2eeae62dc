// Follows one conversation, or all: server-sent events, read with fetch, since EventSource sends no token.

import { Problem } from "./api.js";

const PAUSES = [500, 1000, 2000, 5000, 10_000];
const MAX_SILENCE = 35_000;
const HIDDEN = 5000; // a browser opens six connections to an address, for all tabs: hidden ones leave theirs
const GONE = 410;

// Calls `happened(event)` for each event from now on, until the signal is aborted. A broken stream is
// taken up where it ended. A stream that ended because nothing happened waits until the page is
// looked at again, so that a database can sleep; so does one of a page that is hidden. `types` names the
// events that are wanted. `began()` is called when a stream begins with now:
// what was stored before may be missing in the page. `lost()` ends it: what happened since the page was
// left is not known any more.
export async function follow(api, resource, { types, happened, began, lost }, signal) {
  let after;
  for (let failures = 0; !signal.aborted; ) {
    if (document.hidden) await looked(signal);
    let isIdle = false;
    const silence = new Silence();
    const either = AbortSignal.any([signal, silence.signal]);
    const query = new URLSearchParams(Object.entries({ types, after }).filter(([, value]) => value));
    try {
      const response = await fetch(`../v1/${resource}${query.size ? `?${query}` : ""}`, {
        headers: { ...api.headers(), Accept: "text/event-stream" },
        signal: either,
        cache: "no-store",
      }).catch((error) => {
        if (!signal.aborted && !document.hidden) api.setAway(true);
        throw error;
      });
      if (response.status >= 400 && response.status < 500 && response.status !== 429) await api.check(response);
      if (response.status === 200) {
        api.setAway(false);
        if (!after) began();
        for await (const { id, type, data } of events(response.body, silence)) {
          failures = 0;
          if (id) after = id;
          if (type === "stream.idle") isIdle = true;
          else if (data) happened(JSON.parse(data));
        }
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Problem) return error.status === GONE ? lost() : undefined;
    } finally {
      silence.end();
    }
    if (isIdle) await looked(signal);
    else if (!document.hidden) await pause(PAUSES[Math.min(failures++, PAUSES.length - 1)] * (0.8 + Math.random() * 0.4), signal);
  }
}

// Ends a stream of which nothing came for three of the service's heartbeats: a network may be gone
// without a word, as after a sleep. It also ends one whose page was hidden for a while.
class Silence extends AbortController {
  constructor() {
    super();
    this.looked = () => {
      clearTimeout(this.hidden);
      if (document.hidden) this.hidden = setTimeout(() => this.abort(), HIDDEN);
    };
    document.addEventListener("visibilitychange", this.looked);
    this.heard();
  }

  heard() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.abort(), MAX_SILENCE);
  }

  end() {
    clearTimeout(this.timer);
    clearTimeout(this.hidden);
    document.removeEventListener("visibilitychange", this.looked);
  }
}

async function* events(body, silence) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let event = {};
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    silence.heard();
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
