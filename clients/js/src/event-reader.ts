// Reads streams of server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html.

import { UnexpectedAnswerError } from "./errors.js";
import type { Event } from "./live-models.js";

export const IDLE = "stream.idle";
/** The types of events after which nothing more comes. */
export const LAST: ReadonlySet<string> = new Set(["conversation.deleted", IDLE]);

/** Makes events of the pieces of a stream. `cursor` is the latest id. */
export class EventReader {
  #rest = "";
  #id: string;
  #type = "";
  #data: string[] = [];

  constructor(public cursor: string) {
    this.#id = cursor;
  }

  /** Yield the events that are complete now. */
  *feed(piece: string): Generator<Event, void, undefined> {
    const lines = (this.#rest + piece).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) {
      const event = this.#read(line.replace(/\r$/, ""));
      if (event) yield event;
    }
  }

  #read(line: string): Event | null {
    if (line === "") return this.#end();
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "event") this.#type = value;
    else if (name === "data") this.#data.push(value);
    else if (name === "id") this.#id = value;
    return null;
  }

  /** Return the event that an empty line ends; null if there is none. */
  #end(): Event | null {
    this.cursor = this.#id; // not before: half an event does not count
    const [type, data] = [this.#type, this.#data.join("\n")];
    this.#type = "";
    this.#data = [];
    if (type === "") return null;
    if (type === IDLE) return { type, cursor: this.cursor };
    try {
      return { ...(JSON.parse(data) as Event), cursor: this.cursor };
    } catch (error) {
      throw new UnexpectedAnswerError(`an event ${type} cannot be read`, { cause: error });
    }
  }
}
