// Resumable streams of assistant-stream: what its store in memory does, ours does.

import assert from "node:assert/strict";
import { test } from "node:test";
import { createInMemoryResumableStreamStore, createResumableStreamContext } from "assistant-stream/resumable";
import { createResumableStore } from "../dist/assistant-ui.js";
import { DraftActiveError } from "../dist/index.js";
import { serviceOfThisFile } from "./helpers.mjs";

const service = await serviceOfThisFile();
const alice = service.client("alice");
let streams = 0;
const newStream = () => `chat-${(streams += 1)}:run`;
const ours = () => createResumableStore(alice, (streamId) => streamId.split(":")[0]);
const bytes = (text) => new TextEncoder().encode(text);
const never = new AbortController().signal;

async function readAll(store, stream, cursor = "", signal = never) {
  const found = [];
  for await (const { chunk } of store.read(stream, cursor, signal)) found.push(new TextDecoder().decode(chunk));
  return found;
}

/** Return what each of these calls answers, or how it fails. */
async function answers(store, steps) {
  const stream = newStream();
  const found = [];
  for (const [name, ...values] of steps) {
    const call = name === "readAll" ? readAll(store, stream, ...values) : store[name](stream, ...values);
    found.push(await call.then((answer) => answer ?? null, ({ message, code }) => ({ message: message.replace(stream, "it"), code: code ?? null })));
  }
  return found;
}

const SCENARIOS = {
  "the first caller is the producer, also after the end": [["acquire"], ["acquire"], ["finalize", "done"], ["acquire"]],
  "what was written is read after the end": [
    ["status"], ["acquire"], ["status"], ["append", bytes("a")], ["append", bytes("é😀")], ["append", Uint8Array.of(255, 0, 254)], ["append", bytes("")], ["append", bytes("\uFEFFx\0")],
    ["finalize", "done"], ["status"], ["readAll"], ["readAll"], ["finalize", "done"], ["finalize", "error", "late"], ["status"], ["append", bytes("late")],
  ],
  "an error comes after what was written": [["acquire"], ["append", bytes("a")], ["finalize", "error", "boom"], ["status"], ["readAll"]],
  "an error without words": [["acquire"], ["finalize", "error"], ["readAll"]],
  "what is not there is not found": [["append", bytes("a")], ["finalize", "done"], ["readAll"], ["delete"], ["status"]],
  "what is deleted is missing": [["acquire"], ["append", bytes("a")], ["delete"], ["status"]],
};

for (const [name, steps] of Object.entries(SCENARIOS)) {
  test(`as in memory: ${name}`, async () => {
    assert.deepEqual(await answers(ours(), steps), await answers(createInMemoryResumableStreamStore(), steps));
  });
}

test("readers get what is written live, from their cursor, and leave alone", async () => {
  const store = ours();
  const stream = newStream();
  await store.acquire(stream);
  const leaving = new AbortController();
  const [one, two] = [store.read(stream, "", leaving.signal), store.read(stream, "", never)].map((each) => each[Symbol.asyncIterator]());
  let cursor;
  for (const text of ["a", "b"]) {
    const waiting = Promise.all([one.next(), two.next()]);
    await store.append(stream, bytes(text));
    const [{ value }, other] = await waiting;
    assert.deepEqual([value.chunk, other.value], [bytes(text), value]);
    cursor ??= value.cursor;
  }
  const left = one.next();
  leaving.abort();
  assert.deepEqual(await left, { done: true, value: undefined });
  const last = two.next();
  await store.finalize(stream, "done");
  assert.deepEqual(await last, { done: true, value: undefined });
  assert.deepEqual(await readAll(store, stream, cursor), ["b"]);
});

test("another process reads, and cannot write with another lease", async () => {
  const [store, other] = [ours(), ours()];
  const stream = newStream();
  const { lease } = await store.acquireLease(stream);
  assert.deepEqual(await other.acquireLease(stream), { role: "consumer" });
  await store.append(stream, bytes("a"), lease);
  await assert.rejects(other.append(stream, bytes("x"), { token: "other" }), { name: "ResumableStreamError", code: "missing" });
  assert.equal(await other.finalize(stream, "done", undefined, { token: "other" }), false);
  const reading = readAll(other, stream);
  await other.append(stream, bytes("b"), lease); // the lease is what counts
  assert.equal(await other.finalize(stream, "done", undefined, lease), true);
  assert.deepEqual(await reading, ["a", "b"]);
  await assert.rejects(store.append(stream, bytes("late"), lease), { code: "finalized" });
});

test("a producer that stalls has failed, and its conversation goes on", async () => {
  const store = ours();
  const stream = newStream();
  await store.acquireLease(stream, { ttlMs: 5_000 });
  await store.append(stream, bytes("half"));
  const draft = (await alice.listDrafts("chat-" + streams))[0];
  assert.equal(draft.lease, 5);
  await assert.rejects(store.acquire(`chat-${streams}:second`), DraftActiveError);
  await alice.cancelDraft(`chat-${streams}`, stream); // as the deadline does
  await assert.rejects(readAll(store, stream), /expired/);
  assert.equal(await store.status(stream), "error");
  assert.equal(await store.acquire(`chat-${streams}:second`), "producer");
});

test("ids that assistant-stream refuses are refused", async () => {
  await assert.rejects(ours().acquire("a b"), { code: "invalid-id" });
});

test("the context of assistant-stream runs on it: one producer, and the same bytes for all", async () => {
  const text = ["Soup, ", "or ", "salad. ", "x".repeat(450_000), "y"];
  const stream = newStream();
  let produced = 0;
  const makeStream = () => {
    produced += 1;
    return ReadableStream.from((async function* () {
      for (const each of text) {
        await new Promise((resolve) => setTimeout(resolve, 20));
        yield bytes(each);
      }
    })());
  };
  const errors = [];
  const contexts = [ours(), ours(), ours()].map((store) => createResumableStreamContext({ store, onError: (_, error) => errors.push(error) }));
  const readers = await Promise.all(contexts.map((context) => context.run(stream, makeStream)));
  const first = readers.shift();
  await first.cancel();
  for (const reader of readers) assert.equal(await new Response(reader).text(), text.join(""));
  assert.equal(await new Response(await contexts[0].resume(stream)).text(), text.join(""));
  assert.deepEqual([produced, errors, await contexts[1].status(stream)], [1, [], "done"]);
  assert.equal(await contexts[1].resume("chat-none:run"), null);
  assert.deepEqual((await alice.getHistory(stream.split(":")[0])).items, []);
});
