import assert from "node:assert/strict";
import { test } from "node:test";
import { Chatkeep, ConnectionFailedError, DraftEndedError, DraftSupersededError } from "../dist/index.js";
import { answering, serviceOfThisFile } from "./helpers.mjs";
import { network } from "./network.mjs";

const CHUNKS = [
  { type: "start" },
  { type: "text-start", id: "0" },
  { type: "text-delta", id: "0", delta: "Süße Suppe.\n" },
  { type: "text-end", id: "0" },
];
const service = await serviceOfThisFile();
const alice = service.client("alice");
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Return the id of a conversation with a draft `answer`. */
async function chatOf(options = {}) {
  const { id } = await alice.createConversation();
  await alice.startDraft(id, { id: "answer", ...options });
  return id;
}

test("a body that breaks in the middle goes on behind what is stored", async (t) => {
  const link = await network(t, service);
  const bob = new Chatkeep(link.url, { serviceKey: service.serviceKey, user: "alice" });
  const chat = await chatOf();
  const pieces = Array.from({ length: 60 }, (_, number) => `piece ${number}, `);
  async function* breaking() {
    for (const [number, piece] of pieces.entries()) {
      yield piece;
      if (number === 10 || number === 40) {
        // Until some are stored, of which the producer is not told.
        while ((await alice.getDraft(chat, "answer")).draft.next < number - 5) await pause(20);
      }
      if ([20, 21, 45].includes(number)) link.breakAll();
    }
  }
  const ended = await bob.streamDraft(chat, "answer", breaking(), { epoch: 1, finish: true });
  assert.equal(ended.message.content, pieces.join(""));
  assert.equal(ended.draft.next, pieces.length + 1);
  assert.ok(link.count >= 3, String(link.count));
});

test("a producer that was replaced stops, and so does what makes the chunks", async () => {
  const chat = await chatOf();
  let isStopped = false;
  async function* replaced() {
    try {
      yield "Soup, ";
      assert.equal((await alice.startDraft(chat, { id: "answer", supersede: true })).epoch, 2);
      for (;;) {
        yield "or nothing. ";
        await pause(20);
      }
    } finally {
      isStopped = true;
    }
  }
  await assert.rejects(
    alice.streamDraft(chat, "answer", replaced(), { epoch: 1 }),
    (error) => error instanceof DraftSupersededError && error.draft.epoch === 2,
  );
  assert.ok(isStopped);
  await assert.rejects(alice.streamDraft(chat, "answer", ["x"], { epoch: 1, seq: 1 }), DraftSupersededError);
});

test("bodies of others are passed on wherever they are cut", async () => {
  const lines = CHUNKS.map((chunk) => JSON.stringify(chunk));
  const events = lines.map((line) => `event: x\r\ndata: ${line}\r\n: a comment\r\n\r\n`);
  const bodies = { "application/x-ndjson": lines.join("\n\n"), "text/event-stream": `${events.join("")}data: [DONE]\n\n` };
  for (const [media_type, body] of Object.entries(bodies)) {
    for (const size of [1, 7, 1_000]) {
      const bytes = new TextEncoder().encode(body);
      const pieces = new ReadableStream({
        start(controller) {
          for (let at = 0; at < bytes.length; at += size) controller.enqueue(bytes.slice(at, at + size));
          controller.close();
        },
      });
      const chat = await chatOf({ format: "ai-sdk" });
      const ended = await alice.streamDraft(chat, "answer", pieces, { epoch: 1, finish: true, media_type });
      assert.equal(ended.message.content, "Süße Suppe.\n");
      assert.deepEqual((await alice.getDraft(chat, "answer")).chunks, CHUNKS);
    }
  }
});

test("a text may be cut within characters", async () => {
  const chat = await chatOf();
  const bytes = new TextEncoder().encode("Süße 🧵 Suppe");
  const pieces = Array.from(bytes, (byte) => Uint8Array.of(byte));
  await alice.streamDraft(chat, "answer", [...pieces, "", ", auch"], { epoch: 1 });
  assert.equal((await alice.getDraft(chat, "answer")).text, "Süße 🧵 Suppe, auch");
  await assert.rejects(alice.streamDraft(chat, "answer", [Uint8Array.of(0xc3)], { epoch: 1 }), TypeError);
});

test("an error of the chunks comes after those before it are stored", async () => {
  const chat = await chatOf();
  const failure = new Error("the model is gone");
  async function* failing() {
    yield "Half";
    throw failure;
  }
  const isIt = (error) => error === failure;
  await assert.rejects(alice.streamDraft(chat, "answer", failing(), { epoch: 1, finish: true }), isIt);
  const { text, draft } = await alice.getDraft(chat, "answer");
  assert.deepEqual([text, draft.status], ["Half", "active"]);
  await alice.cancelDraft(chat, "answer");
  await assert.rejects(alice.streamDraft(chat, "answer", failing(), { epoch: 1, seq: 2 }), isIt);
  await assert.rejects(alice.streamDraft(chat, "answer", ["x"], { epoch: 1 }), DraftEndedError);
});

test("a writer takes a stream, and a signal ends it", async () => {
  const chat = await alice.createConversation();
  const message = await alice.draft(chat.id, async (draft) => {
    await draft.write("");
    await draft.write("Soup, ");
    await draft.stream(["or ", "salad"]);
    await draft.write(".");
  });
  assert.equal(message.content, "Soup, or salad.");
  const controller = new AbortController();
  const reason = new Error("enough");
  async function* endless() {
    yield "x";
    controller.abort(reason);
    for (;;) yield await pause(20).then(() => "x");
  }
  const other = await alice.startDraft(chat.id);
  const streaming = alice.streamDraft(chat.id, other.id, endless(), { epoch: 1, signal: controller.signal });
  await assert.rejects(streaming, (error) => error === reason);
});

test("what is refused or lost is sent again behind what is stored", async (t) => {
  const sent = [];
  const OVERLOADED = [503, { type: "urn:chatkeep:problem:overloaded", title: "", detail: "" }];
  const written = (next) => [200, { draft: { next }, message: null }];
  // null: the connection breaks. 6: a service that stops answers before the end.
  const answers = [OVERLOADED, written(4), null, written(5), written(6), OVERLOADED, written(6), written(6), written(7)];
  const url = await answering(t, (request, response) => {
    let body = "";
    request.on("data", (chunk) => (body += chunk));
    request.on("end", () => {
      sent.push([new URL(request.url, "http://x").searchParams.get("seq"), body]);
      const answer = answers[sent.length - 1] ?? null;
      if (answer === null) return request.socket.resetAndDestroy();
      response.writeHead(answer[0], { "retry-after": "0" });
      return response.end(JSON.stringify(answer[1]));
    });
  });
  const { draft } = await new Chatkeep(url, { token: "t" }).streamDraft("c", "d", ["a", "b", "c"], { epoch: 1, seq: 4 });
  assert.equal(draft.next, 7);
  const all = '"a"\n"b"\n"c"\n';
  const none = [null, ""];
  const last = ["6", '"c"\n'];
  assert.deepEqual(sent, [["4", all], none, ["4", all], none, ["5", '"b"\n"c"\n'], last, none, last, last]);
  const hasty = new Chatkeep(url, { token: "t", maxRetries: 1 });
  await assert.rejects(hasty.streamDraft("c", "d", ["a"], { epoch: 1, seq: 1 }), ConnectionFailedError);
});
