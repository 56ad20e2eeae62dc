// Following a conversation, or all of the user's, live.

import { EventReader, LAST } from "./event-reader.js";
import type { Event, EventPage } from "./live-models.js";
import { conversation, json, type Signal } from "./requests.js";
import { sleep } from "./retries.js";
import { readText, Sender } from "./sender.js";

const PAUSE = 0.25;
const MINE = "/v1/events";

export interface Follow extends Signal {
  /** The `cursor` of an event, to go on behind it; `start` for everything. */
  after?: string;
  /** Only events of these types, such as `message.created`. */
  types?: readonly string[];
}

export interface GetEvents extends Follow {
  /** Wait so many seconds for an event, up to 60 and less than the timeout of the client. */
  wait?: number;
}

export class Events extends Sender {
  /**
   * Yield what happens to a conversation, as it happens, over as many streams as it takes.
   *
   * - Without `after`, only what happens from now on.
   * - It ends with `conversation.deleted`, or with `stream.idle` when nothing has happened for a
   *   while, so that the database can sleep. To go on later, give the `cursor` of that event.
   * - Each message comes at least once, in the order in which messages were stored, whatever breaks
   *   meanwhile. An event may come again only after one that was lost.
   *
   * Throws `NotFoundError`; `GoneError` if the conversation has changed since a cursor that is older
   * than the service keeps changes; `ConnectionFailedError` if a stream cannot be opened again.
   */
  followConversation(
    conversationId: string,
    options: Follow = {},
  ): AsyncGenerator<Event, void, undefined> {
    return follow(this, conversation(conversationId, "events"), options, LAST);
  }

  /**
   * Yield what happens to all conversations of the user, for a list that stays true.
   *
   * There are no drafts, and `conversation.created` comes, too. Otherwise it is like
   * `followConversation`; it goes on behind a deleted conversation.
   */
  followMe(options: Follow = {}): AsyncGenerator<Event, void, undefined> {
    return follow(this, MINE, options, new Set(["stream.idle"]));
  }

  /** Return the events of a conversation after a cursor, as soon as there are any (a long poll). */
  async getEvents(conversationId: string, options: GetEvents = {}): Promise<EventPage> {
    return getPage(this, conversation(conversationId, "events"), options);
  }

  /** Return the events of all conversations of the user after a cursor (a long poll). */
  async getMyEvents(options: GetEvents = {}): Promise<EventPage> {
    return getPage(this, MINE, options);
  }
}

async function getPage(sender: Sender, path: string, options: GetEvents): Promise<EventPage> {
  const { after, wait = 0, signal } = options;
  const query = { after, wait, types: chosen(options) };
  return sender.send({ method: "GET", path, query, signal }, json<EventPage>);
}

function chosen({ types = [] }: Follow): string | undefined {
  return types.length > 0 ? types.join(",") : undefined;
}

async function* follow(
  sender: Sender,
  path: string,
  options: Follow,
  last: ReadonlySet<string>,
): AsyncGenerator<Event, void, undefined> {
  const { after, signal } = options;
  const types = chosen(options);
  let cursor = after ?? (await getPage(sender, path, { ...(signal && { signal }) })).next_cursor;
  for (;;) {
    const reader = new EventReader(cursor);
    const query = { after: cursor, types };
    const opened = await sender.open({ method: "GET", path, query, headers: STREAM, signal });
    if (opened.response.status === 204) {
      opened.end();
      yield { type: "stream.idle", cursor };
      return;
    }
    const pieces = readText(opened);
    try {
      for (;;) {
        const piece = await pieces.next().catch(() => ({ done: true, value: undefined }) as const);
        if (piece.done) break; // open another one behind the last event
        for (const event of reader.feed(piece.value)) {
          yield event;
          if (last.has(event.type)) return;
        }
      }
    } finally {
      await pieces.return();
    }
    signal?.throwIfAborted();
    ({ cursor } = reader);
    await sleep(PAUSE, signal);
  }
}

const STREAM = { Accept: "text/event-stream" };
