// Sessions of the OpenAI Agents SDK, with the package itself: what its own session in memory does, ours does.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Agent, MemorySession, OpenAIResponsesCompactionSession, Runner, tool, Usage } from "@openai/agents";
import { z } from "zod";
import { ChatkeepSession, TransactionRefusedError } from "../dist/openai-agents.js";
import { Chatkeep, RetainedError } from "../dist/index.js";
import { serviceOfThisFile } from "./helpers.mjs";
import { network } from "./network.mjs";

const service = await serviceOfThisFile();
const alice = service.client("alice");
let sessions = 0;
const newSession = (client = alice) => new ChatkeepSession(`session ${(sessions += 1)}`, client);

const user = (text) => ({ type: "message", role: "user", content: text });
const said = (text) => ({
  type: "message", role: "assistant", status: "completed", content: [{ type: "output_text", text }], providerData: { a: 1 },
});
const call = (callId, values = "{}") => ({ type: "function_call", id: "fc_1", callId, name: "menu", status: "completed", arguments: values });
const result = (callId, text) => ({
  type: "function_call_result", callId, name: "menu", status: "completed", output: { type: "text", text },
});
const reasoning = { type: "reasoning", id: "rs_1", content: [{ type: "input_text", text: "Hm." }], rawContent: [] };
const image = { role: "user", content: [{ type: "input_text", text: "This?" }, { type: "input_image", image: "https://x/y.png" }] };
const bytes = {
  ...result("c9", ""), output: { type: "image", image: { data: Uint8Array.from({ length: 9_000 }, (_, at) => at % 256), mediaType: "image/png" } },
};
const compaction = { type: "compaction", id: "cmp_1", encrypted_content: "abc" };
const append = (operationId, ...items) => ({ operationId, transaction: { type: "append_items", items } });
const replace = (operationId, expectedSuffix, replacement) => ({ operationId, transaction: { type: "replace_suffix", expectedSuffix, replacement } });

/** Each step of these is a call; what it returns, or that it fails, is compared. */
const SCENARIOS = {
  "items come back as they were added, the latest ones for a limit": [
    ["getItems"], ["addItems", []], ["getItems", 3],
    ["addItems", [user("a"), reasoning, call("c1"), result("c1", "soup"), said("b"), image, bytes, compaction]],
    ["addItems", [user("c")]],
    ["getItems"], ["getItems", 2], ["getItems", 100], ["getItems", 0], ["getItems", -1],
  ],
  "the latest item is popped, and an empty session has none": [
    ["popItem"], ["addItems", [user("a"), said("b")]], ["popItem"], ["getItems"], ["addItems", [said("c")]],
    ["popItem"], ["popItem"], ["popItem"], ["getItems"],
  ],
  "a session is cleared, and goes on": [
    ["clearSession"], ["addItems", [user("a"), call("c1")]], ["clearSession"], ["getItems"], ["addItems", [user("b")]], ["getItems"],
  ],
  "calls are replaced in their place, and double ones go": [
    ["addItems", [user("a"), call("c1"), call("c2"), call("c1"), result("c1", "x")]],
    ["applyHistoryMutations", { mutations: [{ type: "replace_function_call", callId: "c1", replacement: call("c1", '{"a":2}') }] }],
    ["applyHistoryMutations", { mutations: [{ type: "replace_function_call", callId: "c7", replacement: call("c7") }] }],
    ["getItems"],
  ],
  "a transaction is applied once, and its id is that of no other": [
    ["applyHistoryTransaction", append("1", user("a"), said("b"))],
    ["applyHistoryTransaction", append("1", user("a"), said("b"))],
    ["applyHistoryTransaction", append("1", user("other"))],
    ["applyHistoryTransaction", replace("1", [said("b")], [])],
    ["getItems"],
    ["applyHistoryTransaction", replace("2", [said("x")], [said("y")])],
    ["applyHistoryTransaction", replace("2", [said("b")], [call("c1"), result("c1", "z")])],
    ["applyHistoryTransaction", replace("2", [said("b")], [call("c1"), result("c1", "z")])],
    ["applyHistoryTransaction", replace("2", [result("c1", "z")], [])],
    ["applyHistoryTransaction", append("2", user("a"))],
    ["getItems"],
    ["addItems", [user("c")]],
    ["applyHistoryTransaction", replace("2", [said("b")], [call("c1"), result("c1", "z")])],
    ["applyHistoryTransaction", replace("3", [], [said("d")])],
    ["applyHistoryTransaction", replace("4", [user("c"), said("d")], [])],
    ["applyHistoryTransaction", replace("4", [user("c"), said("d")], [])],
    ["applyHistoryTransaction", replace("5", [user("a"), user("b"), user("c"), user("d"), user("e")], [])],
    ["getItems"],
  ],
  "a transaction is the first thing in a session": [
    ["applyHistoryTransaction", replace("1", [user("a")], [])],
    ["applyHistoryTransaction", replace("1", [], [user("a")])],
    ["applyHistoryTransaction", replace("1", [], [user("a")])],
    ["applyHistoryTransaction", replace("2", [user("a")], [])],
    ["applyHistoryTransaction", replace("2", [user("a")], [])],
    ["applyHistoryTransaction", replace("3", [user("a")], [])],
    ["getItems"],
  ],
};

async function answers(session, steps) {
  const found = [];
  for (const [name, ...values] of steps) {
    found.push([name, await session[name](...values).catch(() => "refused")]);
  }
  return found;
}

for (const [name, steps] of Object.entries(SCENARIOS)) {
  test(`as in memory: ${name}`, async () => {
    const expected = await answers(new MemorySession(), steps);
    assert.deepEqual(await answers(newSession(), steps), expected);
  });
}

/** A model that answers what it is told to, in order. */
function model(...turns) {
  const seen = [];
  return {
    seen,
    async getResponse({ input }) {
      seen.push(input);
      return { usage: new Usage(), output: turns.shift(), responseId: `resp_${seen.length}` };
    },
  };
}

const menu = tool({ name: "menu", description: "Today's menu", parameters: z.object({}), execute: async () => "soup" });
const runner = new Runner({ tracingDisabled: true });

async function chat(session) {
  const scripted = model([reasoning, call("c1")], [said("There is soup.")], [said("No salad.")]);
  const agent = new Agent({ name: "Cook", model: scripted, tools: [menu] });
  const one = await runner.run(agent, "What is there?", { session });
  const two = await runner.run(agent, "And salad?", { session });
  return { outputs: [one.finalOutput, two.finalOutput], seen: scripted.seen, items: await session.getItems() };
}

test("the runner gets and stores what it does with the session in memory", async () => {
  const session = newSession();
  assert.deepEqual(await chat(session), await chat(new MemorySession()));
  const { messages } = await alice.getContext(await session.getSessionId(), { format: "openai" });
  assert.deepEqual(messages.map((each) => [each.role, each.content, each.tool_calls?.length]), [
    ["user", "What is there?", undefined], ["assistant", null, 1], ["tool", "soup", undefined],
    ["assistant", "There is soup.", undefined], ["user", "And salad?", undefined], ["assistant", "No salad.", undefined],
  ]);
});

test("what an output guardrail blocks is replaced by a transaction, as in memory", async () => {
  const transactions = [];
  const blocked = async (session) => {
    const { applyHistoryTransaction } = session;
    session.applyHistoryTransaction = function (given) {
      transactions.push(given.transaction.type);
      return applyHistoryTransaction.call(this, given);
    };
    const guard = { name: "no salad", execute: async ({ agentOutput }) => ({ outputInfo: {}, tripwireTriggered: agentOutput.includes("salad") }) };
    const agent = new Agent({ name: "Cook", model: model([call("c1")], [said("salad")], [said("soup")]), tools: [menu], outputGuardrails: [guard] });
    await assert.rejects(runner.run(agent, "What is there?", { session }), /guardrail/i);
    await runner.run(agent, "And now?", { session });
    return session.getItems();
  };
  assert.deepEqual(await blocked(newSession()), await blocked(new MemorySession()));
  assert.ok(transactions.length >= 2 && transactions.length % 2 === 0, String(transactions));
});

test("the SDK's compaction works on it, and a compaction replaces everything in one step", async () => {
  const compact = async (underlyingSession) => {
    const client = { responses: { compact: async () => ({ output: [{ type: "compaction", id: "cmp_2", encrypted_content: "x" }], usage: {} }) } };
    const session = new OpenAIResponsesCompactionSession({ client, underlyingSession, model: "gpt-4.1", compactionMode: "input" });
    await session.addItems([user("a"), said("b"), user("c")]);
    await session.runCompaction({ force: true });
    return underlyingSession.getItems();
  };
  assert.deepEqual(await compact(newSession()), await compact(new MemorySession()));

  const session = newSession();
  await session.replaceHistoryWithCompaction([compaction]);
  await session.addItems(Array.from({ length: 130 }, (_, number) => user(`${number}`)));
  const seen = new Set();
  let isDone = false;
  const reading = (async () => {
    while (!isDone) seen.add((await session.getItems()).length);
  })();
  await session.replaceHistoryWithCompaction([compaction, user("129")]);
  isDone = true;
  await reading;
  assert.ok([...seen].every((count) => count === 131 || count === 2), String([...seen]));
  assert.deepEqual(await session.getItems(), [compaction, user("129")]);
  await session.addItems([said("next")]);
  const { messages } = await alice.getContext(await session.getSessionId(), { limit: 2 });
  assert.deepEqual(messages.map((each) => each.content), ["129", "next"]);
});

test("many items at once, and long ones, are kept", async () => {
  const session = newSession();
  const many = Array.from({ length: 250 }, (_, number) => (number % 2 ? said(`${number}`) : user(`${number}`)));
  await session.addItems(many);
  assert.deepEqual(await session.getItems(), many);
  assert.deepEqual(await session.getItems(150), many.slice(-150));
  const long = [user("é".repeat(5_000)), said("😀".repeat(30_000)), call("c1", `{"a":"${"x".repeat(200_000)}"}`), said("y".repeat(400_000))];
  await session.addItems(long);
  assert.deepEqual(await session.getItems(4), long);
  assert.deepEqual(await newSession().applyHistoryTransaction(append("1", ...long.slice(0, 3))), undefined);
});

test("on a network that loses requests and answers nothing is lost or doubled", async (t) => {
  const link = await network(t, service);
  const { serviceKey } = service;
  const session = newSession(new Chatkeep(link.url, { serviceKey, user: "alice", maxRetries: 60 }));
  link.broken = 0.1;
  const expected = [];
  for (let turn = 0; turn < 6; turn += 1) {
    await session.addItems([user(`${turn}`), said(`${turn}`)]);
    await session.applyHistoryTransaction(replace(`op ${turn}`, [said(`${turn}`)], [said(`${turn}, better`)]));
    await session.applyHistoryTransaction(append(`more ${turn}`, user("thanks")));
    expected.push(user(`${turn}`), said(`${turn}, better`), user("thanks"));
  }
  assert.deepEqual(await session.getItems(), expected);
  assert.ok(link.lost.request > 0 && link.lost.answer > 0, JSON.stringify(link.lost));
});

test("several at once: each item is stored and popped once", async () => {
  const session = newSession();
  const texts = Array.from({ length: 12 }, (_, number) => `${number}`);
  await Promise.all(texts.map((text) => session.addItems([user(text)])));
  await session.applyHistoryTransaction(append("first", user("last")));
  const transactions = texts.map((text) => session.applyHistoryTransaction(replace(text, [user("last")], [user(text)])).catch((error) => error));
  const refused = (await Promise.all(transactions)).filter((each) => each !== undefined);
  assert.deepEqual(refused.map((each) => each.constructor), Array.from({ length: 11 }, () => TransactionRefusedError));
  await session.addItems([user("x")]);
  const removals = await Promise.allSettled(["r1", "r2", "r3"].map((id) => session.applyHistoryTransaction(replace(id, [user("x")], []))));
  assert.equal(removals.filter(({ status }) => status === "fulfilled").length, 1);
  const popped = await Promise.all(Array.from({ length: 14 }, () => session.popItem()));
  assert.equal(popped.filter((each) => each === undefined).length, 1);
  assert.deepEqual(new Set(popped.slice().map((each) => each?.content)), new Set([...texts, undefined]));
});

test("other clients' messages are items, one of which can be popped alone", async () => {
  const session = newSession();
  const id = await session.getSessionId();
  const tool_calls = ["c1", "c2"].map((each) => ({ id: each, type: "function", function: { name: "menu", arguments: "{}" } }));
  await alice.createConversation({ id, title: "Lunch", messages: [
    { role: "developer", content: "Be brief." }, { role: "user", content: [{ type: "text", text: "Soup?" }] }, { role: "assistant", content: "Wait.", tool_calls },
  ] });
  const calls = ["c1", "c2"].map((callId) => ({ type: "function_call", callId, name: "menu", arguments: "{}", status: "completed" }));
  const wait = { role: "assistant", status: "completed", content: [{ type: "output_text", text: "Wait." }] };
  const start = [{ role: "system", content: "Be brief." }, { role: "user", content: "Soup?" }];
  assert.deepEqual(await session.getItems(), [...start, wait, ...calls]);
  assert.deepEqual(await session.getItems(1), [calls[1]]);
  assert.deepEqual(await session.popItem(), calls[1]);
  assert.deepEqual(await session.getItems(), [...start, wait, calls[0]]);
  await alice.appendMessages(id, { role: "tool", tool_call_id: "c1", content: "soup" });
  assert.deepEqual((await session.getItems(1))[0].output, { type: "text", text: "soup" });
  await session.clearSession();
  assert.equal((await alice.getConversation(id)).title, "Lunch");
});

test("on hold, items are added and nothing is deleted", async () => {
  const session = newSession();
  await session.addItems([user("a")]);
  await service.client("alice").changeConversation(await session.getSessionId(), { retain: true });
  await session.addItems([user("b")]);
  await assert.rejects(session.popItem(), RetainedError);
  await assert.rejects(session.clearSession(), RetainedError);
  await assert.rejects(session.applyHistoryTransaction(replace("1", [user("b")], [])), RetainedError);
  assert.equal((await session.getItems()).length, 2);
});
