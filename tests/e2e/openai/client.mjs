// What the unmodified npm package `openai` gets from the service. See test_npm.py.

import assert from "node:assert/strict";
import { test } from "node:test";
import OpenAI, { AzureOpenAI } from "openai";

const client = new OpenAI({
  baseURL: `${process.env.CHECKED_URL}/openai/v1`,
  apiKey: process.env.CHECKED_ALICE,
  maxRetries: 0,
});
const items = [
  { role: "user", content: "Hi \u0000 \u{1f9f5}" },
  { type: "message", id: "msg_own", role: "assistant", content: "Yes?", phase: "commentary" },
  { type: "function_call", call_id: "a", name: "f", arguments: '{"x": 1}' },
  { type: "function_call_output", call_id: "a", output: [{ type: "input_text", text: "1" }] },
  { type: "reasoning", id: "rs_1", summary: [], encrypted_content: null },
  { type: "of a later day", z: null, a: [1.5, {}] },
];

async function every(pages) {
  const found = [];
  for await (const each of pages) found.push(each);
  return found;
}

test("every call", async () => {
  const made = await client.conversations.create({ items: items.slice(0, 1), metadata: { a: "b" } });
  assert.deepEqual(await client.conversations.retrieve(made.id), made);
  const changed = await client.conversations.update(made.id, { metadata: { c: "d" } });
  assert.deepEqual(changed.metadata, { c: "d" });

  const added = await client.conversations.items.create(made.id, { items: items.slice(1) });
  assert.equal(added.data.length, items.length - 1);
  const own = await client.conversations.items.retrieve("msg_own", { conversation_id: made.id });
  assert.deepEqual(own, {
    type: "message",
    id: "msg_own",
    role: "assistant",
    content: [{ type: "output_text", text: "Yes?", annotations: [], logprobs: [] }],
    phase: "commentary",
    status: "completed",
  });
  const parent = await client.conversations.items.delete("rs_1", { conversation_id: made.id });
  assert.equal(parent.id, made.id);
  assert.equal((await every(client.conversations.items.list(made.id))).length, items.length - 1);

  const gone = await client.conversations.delete(made.id);
  assert.deepEqual(gone, { id: made.id, deleted: true, object: "conversation.deleted" });
  await assert.rejects(client.conversations.retrieve(made.id), OpenAI.NotFoundError);
});

test("pages of any size have everything once, in order", async () => {
  const numbered = Array.from({ length: 45 }, (_, n) => ({ role: "user", content: `${n}` }));
  const made = await client.conversations.create({ items: numbered });
  for (const order of ["asc", "desc"]) {
    const expected = numbered.map((each) => each.content);
    if (order === "desc") expected.reverse();
    for (const limit of [1, 7, 20, 45, 100, 1000]) {
      const found = await every(client.conversations.items.list(made.id, { limit, order }));
      assert.deepEqual(found.map((each) => each.content[0].text), expected);
    }
  }
});

test("with keys, what loses its answer is stored once", async () => {
  let lost = 0;
  const losing = async (url, init) => {
    const answer = await fetch(url, init);
    if (lost++ === 0) throw new TypeError("the answer was lost");
    return answer;
  };
  const once = client.withOptions({ fetch: losing, maxRetries: 2 });
  once.idempotencyHeader = "Idempotency-Key";
  const made = await client.conversations.create({});
  const added = await once.conversations.items.create(made.id, { items });
  assert.equal(lost, 2);
  const found = await every(client.conversations.items.list(made.id, { order: "asc" }));
  assert.deepEqual(found, added.data);
});

test("the client for Azure is served as well", async () => {
  const azure = new AzureOpenAI({
    endpoint: process.env.CHECKED_URL,
    apiKey: process.env.CHECKED_ALICE,
    apiVersion: "2025-04-01",
  });
  const made = await azure.conversations.create({ items: items.slice(0, 1) });
  assert.equal((await every(client.conversations.items.list(made.id))).length, 1);
  assert.deepEqual(await azure.conversations.retrieve(made.id), made);
});

test("errors are of the right classes", async () => {
  const made = await client.conversations.create({});
  const append = (sent) => client.conversations.items.create(made.id, { items: sent });
  await assert.rejects(append([{ role: "robot", content: "" }]), OpenAI.BadRequestError);
  await assert.rejects(append([items[4], items[4]]), OpenAI.BadRequestError);
  const stranger = client.withOptions({ apiKey: "nobody" });
  await assert.rejects(stranger.conversations.create({}), OpenAI.AuthenticationError);
});
