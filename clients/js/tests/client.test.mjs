import assert from "node:assert/strict";
import { test } from "node:test";
import * as errors from "../dist/index.js";
import { Chatkeep } from "../dist/index.js";
import { all, nowhere, says, serviceOfThisFile } from "./helpers.mjs";

const service = await serviceOfThisFile();
const alice = service.client("alice");

test("a turn: append with the context, then the answer", async () => {
  const chat = await alice.createConversation({ title: "Lunch", metadata: { shop: 7 } });
  assert.equal(chat.title, "Lunch");
  const turn = await alice.appendMessages(chat.id, says("Soup?"), { context: 20 });
  assert.deepEqual(turn.context.messages, [says("Soup?")]);
  assert.equal(turn.warning, null);
  const answered = await alice.appendMessages(chat.id, [{ role: "assistant", content: "Yes." }]);
  assert.ok(answered.revision > turn.revision && turn.revision > 0);
  const context = await alice.getContext(chat.id, { limit: 1, format: "anthropic" });
  assert.deepEqual([context.format, context.truncated, context.revision], ["anthropic", true, answered.revision]);
  assert.equal((await alice.getConversation(chat.id)).message_count, 2);
});

test("a conversation is found or created, changed and deleted", async () => {
  const first = await alice.getOrCreateConversation("lunch/1 é", { title: "One" });
  const second = await alice.getOrCreateConversation("lunch/1 é", { title: "Two" });
  assert.deepEqual([first.created, second.created, second.title], [true, false, "One"]);
  await assert.rejects(
    alice.getOrCreateConversation(first.id, { must_be_new: true }),
    (error) => error instanceof errors.RevisionConflictError && error.revision === second.revision,
  );
  await assert.rejects(
    alice.getOrCreateConversation("absent", { expected_revision: 1 }),
    errors.NotFoundError,
  );
  const changed = await alice.changeConversation(first.id, { title: null, status: "archived" });
  assert.deepEqual([changed.title, changed.status], [null, "archived"]);
  await assert.rejects(
    alice.changeConversation(first.id, { title: "x", expected_revision: first.revision }),
    errors.RevisionConflictError,
  );
  await assert.rejects(
    alice.getConversation(first.id, { known_revision: changed.revision }),
    (error) => error instanceof errors.NotModifiedError && error.revision === changed.revision,
  );
  await alice.deleteConversation(first.id, { expected_revision: changed.revision });
  await assert.rejects(alice.getConversation(first.id), errors.NotFoundError);
});

test("iterators go over all pages", async () => {
  const bob = service.client("bob");
  const made = [];
  for (const number of [1, 2, 3, 4, 5]) {
    made.push((await bob.createConversation({ metadata: { odd: number % 2 === 1 } })).id);
  }
  const page = await bob.listConversations({ metadata: { odd: true }, limit: 2, count: true });
  assert.equal(page.count.value, 3);
  const found = await all(bob.iterConversations({ metadata: { odd: true }, page_size: 2 }));
  assert.deepEqual(new Set(found.map((each) => each.id)), new Set([made[0], made[2], made[4]]));
  const none = await all(bob.iterConversations({ updated_before: new Date("2020-01-01T00:00:00Z") }));
  assert.deepEqual(none, []);

  const texts = Array.from({ length: 7 }, (_, number) => `message ${number}`);
  await bob.appendMessages(made[0], texts.map(says));
  const history = await all(bob.iterHistory(made[0], { page_size: 3 }));
  assert.deepEqual(history.map((each) => each.content), texts);
  const back = await all(bob.iterHistory(made[0], { page_size: 3, order: "desc", before: history[5].id }));
  assert.deepEqual(back.map((each) => each.content), texts.slice(0, 5).reverse());
  const around = await bob.getHistory(made[0], { around: history[3].id, limit: 3 });
  assert.ok(around.items.some((each) => each.id === history[3].id) && around.previous_cursor);
  const since = await bob.getHistory(made[0], { around_time: new Date("2020-01-01T00:00:00Z"), limit: 1 });
  assert.deepEqual(since.items.map((each) => each.content), texts.slice(0, 1));
});

test("originals come back, and UIMessages as they were sent", async () => {
  const chat = await alice.createConversation();
  const original = { id: "ui-1", role: "user", parts: [{ type: "text", text: "Hi" }], metadata: { a: [1, "é"] } };
  await alice.appendMessages(chat.id, { format: "ai-sdk", original });
  const message = await alice.getMessage(chat.id, "ui-1", { originals: true });
  assert.deepEqual([message.content, message.original], ["Hi", original]);
  assert.deepEqual(await alice.getUIMessage(chat.id, "ui-1"), original);
  assert.deepEqual((await alice.getUIHistory(chat.id)).items, [original]);
});

test("users are apart, whatever letters they have", async () => {
  const chat = await service.client("Зоя").createConversation();
  assert.equal((await service.client().asUser("Зоя").getConversation(chat.id)).id, chat.id);
  await assert.rejects(alice.getConversation(chat.id), errors.NotFoundError);
  for (const user of [" alice", "alice ", "", "a\nb"]) {
    assert.throws(() => service.client(user), TypeError);
  }
});

test("errors have the fields of the problem", async () => {
  const chat = await alice.createConversation();
  await assert.rejects(alice.appendMessages(chat.id, says("x".repeat(5_000))), (error) => {
    assert.ok(error instanceof errors.LimitExceededError && error instanceof errors.ChatkeepError);
    assert.deepEqual(
      [error.name, error.status, error.code, error.limit, error.actual, error.setting],
      ["LimitExceededError", 422, "limit-exceeded", 1_000, 5_000, "CHATKEEP_MAX_USER_MESSAGE_CHARS"],
    );
    assert.match(error.field, /content/);
    assert.ok(error.message.length > 0 && error.message === error.detail);
    return true;
  });
  await assert.rejects(alice.getHistory(chat.id, { limit: 0 }), errors.InvalidValueError);
  await assert.rejects(new Chatkeep(service.url, { token: "x" }).createConversation(), errors.AuthenticationError);
  await alice.appendMessages(chat.id, { ...says("a"), id: "one" });
  await assert.rejects(alice.appendMessages(chat.id, { ...says("b"), id: "one" }), errors.IdTakenError);
});

test("what cannot be is refused before it is sent", async () => {
  for (const id of ["", ".", "..", undefined]) {
    await assert.rejects(alice.getConversation(id), TypeError);
  }
  assert.throws(() => new Chatkeep(service.url, {}), TypeError);
  assert.throws(() => new Chatkeep(service.url, { token: "a", serviceKey: "b" }), TypeError);
  assert.throws(() => new Chatkeep(service.url, { token: "a", user: "b" }), TypeError);
  assert.throws(() => new Chatkeep(service.url, { token: "a", operator: "b" }), TypeError);
  assert.throws(() => new Chatkeep(service.url, { serviceKey: "a", operator: "b\n" }), TypeError);
  assert.throws(() => new Chatkeep("ftp://x", { token: "a" }), TypeError);
  assert.throws(() => new Chatkeep(service.url, { token: () => "a" }).asUser("b"), TypeError);
});

test("what an operator asks for is in the audit", async () => {
  const operator = new Chatkeep(service.url, { serviceKey: service.serviceKey, operator: "Jürgen" });
  await operator.asUser("audited ü").listConversations();
  await service.client("audited ü").listConversations();
  const { items } = await service.client().listAudit({ user: "audited ü" });
  assert.deepEqual(items.map((line) => [line.operator, line.action]), [["Jürgen", "listConversations"]]);
});

test("a token may be a function, asked for each attempt", async () => {
  let asked = 0;
  const token = async () => `wrong ${asked++}`;
  const client = new Chatkeep(`${service.url}/`, { token });
  await assert.rejects(client.listConversations(), errors.AuthenticationError);
  await assert.rejects(client.listConversations(), errors.AuthenticationError);
  assert.equal(asked, 2);
});

test("a signal ends a call, also one that waits", async () => {
  const nobody = new Chatkeep(await nowhere(), { token: "x" });
  const reason = new Error("enough");
  const controller = new AbortController();
  const call = nobody.getConversation("x", { signal: controller.signal });
  setTimeout(() => controller.abort(reason), 20);
  await assert.rejects(call, (error) => error === reason);
  await assert.rejects(
    alice.appendMessages("x", says("y"), { signal: AbortSignal.abort(reason) }),
    (error) => error === reason,
  );
});
