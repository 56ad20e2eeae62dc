// Adapters of assistant-ui, with the runtime itself.

import assert from "node:assert/strict";
import { test } from "node:test";
import { InMemoryThreadListAdapter } from "@assistant-ui/core";
import { LocalRuntimeCore } from "@assistant-ui/core/internal";
import { AssistantMessageAccumulator } from "assistant-stream";
import { createHistory, createThreadList } from "../dist/assistant-ui.js";
import { loadChat, saveChat } from "../dist/ai-sdk.js";
import { NotFoundError, RetainedError } from "../dist/index.js";
import { serviceOfThisFile } from "./helpers.mjs";

const service = await serviceOfThisFile();
const alice = service.client("alice");
let chats = 0;
const newChat = () => `chat ${(chats += 1)}`;
const until = async (condition) => {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 10));
};

/** Return what an adapter answers to the same calls; ids of threads are 1 and 2. */
async function answers(list) {
  const { remoteId: one } = await list.initialize("local-1");
  const { remoteId: two } = await list.initialize("local-2", { custom: { shop: 7 } });
  const known = new Map([[one, "1"], [two, "2"]]);
  const shown = async () => (await list.list()).threads
    .map(({ remoteId, status, title, custom }) => ({ id: known.get(remoteId), status, title, custom: { ...custom } }))
    .sort((a, b) => a.id.localeCompare(b.id));
  const found = [await shown()];
  await list.rename(one, "Lunch");
  await list.archive(one);
  await list.updateCustom(two, { shop: 8 });
  found.push(await shown(), (await list.fetch(one)).status);
  await list.unarchive(one);
  await list.updateCustom(two, undefined);
  found.push(await shown());
  await list.delete(two);
  await list.delete(two);
  found.push(await shown(), await list.fetch(two).then(() => "there", () => "gone"));
  return found;
}

test("threads are conversations, as in memory", async () => {
  assert.deepEqual(await answers(createThreadList(service.client("bob"))), await answers(new InMemoryThreadListAdapter()));
});

test("threads come in pages, latest first, each once", async () => {
  const carol = service.client("carol");
  for (let number = 0; number < 45; number += 1) await carol.createConversation({ id: `c${number}` });
  const list = createThreadList(carol);
  const found = [];
  let page = { nextCursor: undefined };
  do {
    page = await list.list({ after: page.nextCursor });
    found.push(...page.threads);
  } while (page.nextCursor !== undefined);
  assert.deepEqual(found.map((each) => each.remoteId), Array.from({ length: 45 }, (_, number) => `c${44 - number}`));
  assert.ok(found[0].lastMessageAt instanceof Date);
});

async function titleOf(stream) {
  let last;
  for await (const message of stream.pipeThrough(new AssistantMessageAccumulator())) last = message;
  return last?.parts.map((part) => part.text).join("");
}

test("a title is made and stored before it is shown", async () => {
  const messages = [{ role: "user", content: [{ type: "text", text: `Is there\n ${"soup ".repeat(40)}` }] }];
  const list = createThreadList(alice);
  const { remoteId } = await list.initialize("x");
  const stream = await list.generateTitle(remoteId, messages);
  const { title } = await list.fetch(remoteId);
  assert.equal(await titleOf(stream), title);
  assert.match(title, /^Is there soup soup .*…$/);
  const own = createThreadList(alice, { title: async (all) => `${all.length} messages` });
  assert.equal(await titleOf(await own.generateTitle(remoteId, messages)), "1 messages");
  assert.equal((await list.fetch(remoteId)).title, "1 messages");
  assert.equal(await titleOf(await list.generateTitle(remoteId, [])) ?? "", "");
  assert.equal((await list.fetch(remoteId)).title, "1 messages");
});

test("what is on hold is not deleted", async () => {
  const list = createThreadList(alice);
  const { remoteId } = await list.initialize("x");
  await alice.changeConversation(remoteId, { retain: true });
  await assert.rejects(list.delete(remoteId), RetainedError);
  await assert.rejects(list.fetch("absent"), NotFoundError);
});

/** A page's thread, with a model that repeats the question. */
async function open(history) {
  const chatModel = {
    async *run({ messages }) {
      const text = messages.at(-1).content.map((part) => part.text).join("");
      yield { content: [{ type: "text", text: "You" }] };
      yield { content: [{ type: "text", text: `You said ${text}` }, { type: "tool-call", toolCallId: "t", toolName: "f", args: { a: 1 }, argsText: '{"a":1}', result: 2 }] };
    },
  };
  const thread = new LocalRuntimeCore({ adapters: { chatModel, history } }, undefined).threads.getMainThreadRuntimeCore();
  await thread.__internal_load();
  return thread;
}

const ask = (thread, text, parentId = thread.messages.at(-1)?.id ?? null) =>
  thread.append({ role: "user", content: [{ type: "text", text }], attachments: [], metadata: { custom: { by: "me" } }, parentId, sourceId: null, runConfig: { custom: { temperature: 1 } }, createdAt: new Date() });
const texts = (thread) => thread.messages.map((message) => message.content[0].text);

test("a thread of the runtime is stored, and is the same when it is loaded", async () => {
  const chat = newChat();
  const thread = await open(createHistory(alice, chat));
  assert.deepEqual(thread.messages, []);
  await ask(thread, "Soup?");
  await ask(thread, "Salad?");
  await until(async () => (await alice.getConversation(chat)).message_count === 4);
  const again = await open(createHistory(alice, chat));
  assert.deepEqual(again.messages, thread.messages);
  assert.deepEqual(texts(again), ["Soup?", "You said Soup?", "Salad?", "You said Salad?"]);
  const exported = await createHistory(alice, chat).load();
  assert.deepEqual(exported.messages[0].runConfig, { custom: { temperature: 1 } });
  const { messages } = await alice.getContext(chat);
  assert.deepEqual(messages.map((each) => [each.role, each.content]).slice(0, 2), [["user", "Soup?"], ["assistant", [{ type: "text", text: "You said Soup?" }]]]);
});

test("an edited question and an answer that is generated again are branches", async () => {
  const chat = newChat();
  const thread = await open(createHistory(alice, chat));
  await ask(thread, "Soup?");
  await until(async () => (await alice.getConversation(chat)).message_count === 2);
  await thread.startRun({ parentId: thread.messages[0].id, sourceId: thread.messages[1].id, runConfig: {} });
  await until(async () => (await alice.getConversation(chat)).message_count === 3);
  await ask(thread, "Salad?", null);
  await until(async () => (await alice.getHistory(chat, { branch: "all" })).items.length === 5);
  const again = await open(createHistory(alice, chat));
  assert.deepEqual(texts(again), ["Salad?", "You said Salad?"]);
  const shape = ({ messages, headId }) => [headId, messages.map((each) => [each.message.id, each.parentId]).sort()];
  assert.deepEqual(shape(again.export()), shape(thread.export()));
  assert.equal(again.getBranches(again.messages[0].id).length, 2);
  again.switchToBranch(again.getBranches(again.messages[0].id)[0]);
  assert.equal(again.getBranches(again.messages[1].id).length, 2);
});

test("a message is replaced, also if it was not stored, and deleted, also if it is gone", async () => {
  const chat = newChat();
  const history = createHistory(alice, chat);
  const thread = await open(history);
  await ask(thread, "Soup?");
  await until(async () => (await alice.getConversation(chat)).message_count === 2);
  const [, { parentId, message }] = thread.export().messages;
  await history.update({ parentId, message: { ...message, content: [{ type: "text", text: "x".repeat(20_000) }] } });
  const late = { ...message, id: "late", content: [] };
  await history.update({ parentId: message.id, message: late });
  await history.append({ parentId: message.id, message: late });
  const { messages, headId } = await history.load();
  assert.deepEqual(messages.map((each) => each.message.content[0]?.text.length), [5, 20_000, undefined]);
  assert.equal(headId, "late");
  await history.delete([{ parentId: message.id, message: late }]);
  await history.delete([{ parentId: message.id, message: late }]);
  assert.equal((await history.load()).messages.length, 2);
});

test("a new thread is created with its first message", async () => {
  const list = createThreadList(alice);
  const state = {};
  const item = { getState: () => state, initialize: async () => Object.assign(state, state.remoteId ? {} : await list.initialize("local")) };
  const history = createHistory(alice, () => item);
  assert.deepEqual(await history.load(), { messages: [] });
  const thread = await open(history);
  await ask(thread, "Soup?");
  await until(async () => state.remoteId && (await alice.getConversation(state.remoteId)).message_count === 2);
  assert.equal((await history.load()).messages.length, 2);
  assert.deepEqual(await createHistory(alice, "absent").load(), { messages: [] });
});

test("messages of other clients are shown, without those of tools", async () => {
  const chat = newChat();
  const tool_calls = [{ id: "c1", type: "function", function: { name: "menu", arguments: "{}" } }];
  await alice.createConversation({ id: chat, messages: [
    { role: "developer", content: "Be brief." }, { role: "user", content: [{ type: "text", text: "Soup?" }] },
    { role: "assistant", content: null, tool_calls }, { role: "tool", tool_call_id: "c1", content: "yes" }, { role: "assistant", content: "Yes." },
  ] });
  const thread = await open(createHistory(alice, chat));
  assert.deepEqual(thread.messages.map((each) => [each.role, each.content[0].text]), [["system", "Be brief."], ["user", "Soup?"], ["assistant", "Yes."]]);
  assert.equal(thread.messages[2].status.type, "complete");
});

// As the runtime of the AI SDK has it, in @assistant-ui/ai-sdk.
const aiSDK = {
  format: "ai-sdk/v6",
  encode: ({ message: { id: _, ...rest } }) => rest,
  decode: ({ id, parent_id, content }) => ({ parentId: parent_id, message: { id, ...content } }),
  getId: (message) => message.id,
};
const ui = (id, role, text) => ({ id, role, parts: [{ type: "text", text }] });

test("with the format of the AI SDK, messages are UIMessages for everything else", async () => {
  const chat = newChat();
  const history = createHistory(alice, chat).withFormat(aiSDK);
  await history.append({ parentId: null, message: ui("1", "user", "Soup?") });
  await history.append({ parentId: "1", message: ui("2", "assistant", "Ye") });
  await history.update({ parentId: "1", message: ui("2", "assistant", "Yes.") }, "2");
  await history.update({ parentId: "1", message: ui("server-2", "assistant", "Yes!") }, "2");
  await history.append({ parentId: "server-2", message: ui("3", "user", "Thanks") });
  const expected = [ui("1", "user", "Soup?"), ui("2", "assistant", "Yes!"), ui("3", "user", "Thanks")];
  assert.deepEqual(await loadChat(alice, chat), expected);
  await saveChat(alice, chat, [ui("4", "assistant", "Welcome")]);
  await alice.appendMessages(chat, { role: "user", content: "native", id: "5" });
  const { messages, headId } = await createHistory(alice, chat).withFormat(aiSDK).load();
  assert.deepEqual(messages.map((each) => each.message), [...expected, ui("4", "assistant", "Welcome"), ui("5", "user", "native")]);
  assert.deepEqual(messages.map((each) => each.parentId), [null, "1", "2", "3", "4"]);
  assert.equal(headId, "5");
  await history.delete([{ parentId: "2", message: ui("3", "user", "") }]);
  assert.equal((await loadChat(alice, chat)).length, 4);
});

test("any other format comes back as it was encoded", async () => {
  const chat = newChat();
  const own = {
    format: "mine", getId: (message) => message.key,
    encode: ({ message }) => ({ role: "user", content: [{ type: "text", text: message.said }], message }),
    decode: ({ parent_id, content }) => ({ parentId: parent_id, message: content.message }),
  };
  const history = createHistory(alice, chat).withFormat(own);
  await history.append({ parentId: null, message: { key: "a", said: "hi", more: [1.5, null] } });
  assert.deepEqual(await history.load(), { headId: "a", messages: [{ parentId: null, message: { key: "a", said: "hi", more: [1.5, null] } }] });
  assert.equal((await alice.getMessage(chat, "a")).content, "hi");
  assert.deepEqual((await createHistory(alice, chat).withFormat({ ...own, format: "other" }).load()).messages, []);
});
