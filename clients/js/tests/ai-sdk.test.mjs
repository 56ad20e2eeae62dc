import assert from "node:assert/strict";
import { test } from "node:test";
import { convertToModelMessages, isStepCount, readUIMessageStream, streamText, tool, toUIMessageStream } from "ai";
import { MockLanguageModelV4, simulateReadableStream } from "ai/test";
import { z } from "zod";
import { loadChat, resumeChat, saveChat, stopChat, streamChat } from "../dist/ai-sdk.js";
import { DraftActiveError } from "../dist/index.js";
import { serviceOfThisFile } from "./helpers.mjs";

const service = await serviceOfThisFile();
const alice = service.client("alice");
let chats = 0;
const newChat = () => `chat ${(chats += 1)}`;
const ui = (id, role, text, more = {}) => ({ id, role, parts: [{ type: "text", text }], ...more });
const delta = (text) => ({ type: "text-delta", id: "1", delta: text });
const opening = (id) => [{ type: "start", ...(id && { messageId: id }) }, { type: "text-start", id: "1" }];
const closing = [{ type: "text-end", id: "1" }, { type: "finish" }];

/** A model's stream, to which a test adds chunks. `cancelled` resolves when nobody reads it any more. */
function model(...chunks) {
  let add;
  let cancelled;
  const whenCancelled = new Promise((resolve) => (cancelled = resolve));
  const stream = new ReadableStream({
    start: (controller) => {
      add = controller;
      for (const each of chunks) controller.enqueue(each);
    },
    cancel: cancelled,
  });
  return { stream, add: (chunk) => add.enqueue(chunk), end: () => add.close(), fail: (error) => add.error(error), whenCancelled };
}

/** Return the chunks of a UI message stream, which ends with [DONE]. */
async function chunksOf(response) {
  const data = [...(await response.text()).matchAll(/^data: (.*)$/gm)].map((found) => found[1]);
  assert.equal(data.pop(), "[DONE]");
  return data.map((each) => JSON.parse(each));
}

test("a chat that is saved comes back as it was, once, however often it is saved", async () => {
  const chat = newChat();
  assert.deepEqual(await loadChat(alice, chat), []);
  const messages = Array.from({ length: 105 }, (_, number) =>
    ui(`m${number}`, number % 2 ? "assistant" : "user", `text ${number}`, { metadata: { number } }));
  await saveChat(alice, chat, messages);
  await saveChat(alice, chat, messages);
  assert.deepEqual(await loadChat(alice, chat), messages);
  const { revision } = await alice.getConversation(chat);
  await saveChat(alice, chat, [messages[104]]);
  assert.equal((await alice.getConversation(chat)).revision, revision);
});

test("what differs is replaced in its place, and new messages are added, also alone", async () => {
  const chat = newChat();
  const [one, two] = [ui("1", "user", "a"), ui("2", "assistant", "b")];
  await saveChat(alice, chat, [one, two]);
  const approved = ui("2", "assistant", "B");
  const three = ui("3", "user", "c");
  await saveChat(alice, chat, [one, approved, three]);
  await saveChat(alice, chat, [ui("4", "assistant", "d")]);
  assert.deepEqual(await loadChat(alice, chat), [one, approved, three, ui("4", "assistant", "d")]);
});

test("an answer that is generated again is a branch: the old one stays", async () => {
  const chat = newChat();
  const one = ui("1", "user", "a");
  await saveChat(alice, chat, [one, ui("2", "assistant", "b")]);
  const again = ui("3", "assistant", "better");
  await saveChat(alice, chat, [one, again]);
  assert.deepEqual(await loadChat(alice, chat), [one, again]);
  assert.deepEqual((await alice.listSiblings(chat, "2")).map((each) => each.id), ["2", "3"]);
});

test("an answer streams, can be taken up while it is written, and is stored", async () => {
  const chat = newChat();
  await saveChat(alice, chat, [ui("1", "user", "Soup?")]);
  assert.equal((await resumeChat(alice, chat)).status, 204);
  const source = model(...opening("answer"), delta("Soup, "));
  let stored;
  const response = await streamChat(alice, chat, source.stream, { waitUntil: (each) => (stored = each) });
  assert.equal(response.headers.get("x-vercel-ai-ui-message-stream"), "v1");
  await assert.rejects(streamChat(alice, chat, model(...opening()).stream), DraftActiveError);
  const resumed = await resumeChat(alice, chat);
  assert.equal(resumed.status, 200);
  source.add(delta("or salad."));
  for (const each of closing) source.add(each);
  source.end();
  await stored;
  const expected = [...opening("answer"), delta("Soup, "), delta("or salad."), ...closing];
  assert.deepEqual(await chunksOf(response), expected);
  assert.deepEqual(await chunksOf(resumed), expected);
  const [, answer] = await loadChat(alice, chat);
  assert.deepEqual([answer.id, answer.role], ["answer", "assistant"]);
  assert.equal(answer.parts.find((each) => each.type === "text").text, "Soup, or salad.");
});

test("a reader who leaves stops nothing", async () => {
  const chat = newChat();
  await saveChat(alice, chat, [ui("1", "user", "Soup?")]);
  const source = model(...opening());
  let stored;
  const response = await streamChat(alice, chat, source.stream, { waitUntil: (each) => (stored = each) });
  await response.body.cancel();
  for (const each of [delta("Yes."), ...closing]) source.add(each);
  source.end();
  await stored;
  assert.equal((await loadChat(alice, chat)).length, 2);
});

test("stop ends the answer and the model, and keeps what there is", async () => {
  const chat = newChat();
  await saveChat(alice, chat, [ui("1", "user", "Soup?")]);
  const source = model(...opening(), delta("Half"));
  let stops = 0;
  const response = await streamChat(alice, chat, source.stream, { onStop: () => (stops += 1) });
  const text = chunksOf(response);
  await new Promise((resolve) => setTimeout(resolve, 300)); // a quarter of a second is one write
  source.add(delta(" and"));
  await alice.getContext(chat);
  await stopChat(alice, chat);
  const adding = setInterval(() => source.add(delta(" more")), 50);
  await source.whenCancelled;
  clearInterval(adding);
  assert.deepEqual((await text).at(-1), { type: "abort" });
  assert.equal(stops, 1);
  assert.equal((await resumeChat(alice, chat)).status, 204);
});

test("a model that fails leaves an interrupted message, and the page an error", async () => {
  const chat = newChat();
  await saveChat(alice, chat, [ui("1", "user", "Soup?")]);
  const source = model(...opening(), delta("Half"));
  let stored;
  const response = await streamChat(alice, chat, source.stream, { waitUntil: (each) => (stored = each) });
  let text = "";
  for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
    text += piece;
    if (piece.includes("Half")) source.fail(new Error("the model is gone"));
  }
  await stored;
  assert.match(text, /data: \{"type":"error","errorText":"The answer was interrupted\."\}\n\ndata: \[DONE\]\n\n$/);
  assert.equal((await resumeChat(alice, chat)).status, 204);
  const { items } = await alice.getHistory(chat);
  assert.deepEqual(items.map((each) => each.content), ["Soup?", "Half"]);
});

const usage = { inputTokens: {}, outputTokens: {} };
const finish = (unified) => ({ type: "finish", usage, finishReason: { unified, raw: unified } });
const asJson = (value) => JSON.parse(JSON.stringify(value));

test("what the package makes of a stream with reasoning and tools is what is stored, and a model takes it again", async () => {
  const chat = newChat();
  await saveChat(alice, chat, [ui("1", "user", "Soup?")]);
  const steps = [
    [
      { type: "stream-start", warnings: [] }, { type: "reasoning-start", id: "r" }, { type: "reasoning-delta", id: "r", delta: "Hm." }, { type: "reasoning-end", id: "r" },
      { type: "tool-call", toolCallId: "c1", toolName: "menu", input: '{"day":"today"}' }, finish("tool-calls"),
    ],
    [{ type: "stream-start", warnings: [] }, { type: "text-start", id: "t" }, { type: "text-delta", id: "t", delta: "There is soup." }, { type: "text-end", id: "t" }, finish("stop")],
  ];
  const prompts = [];
  const model = new MockLanguageModelV4({
    doStream: async ({ prompt }) => {
      prompts.push(prompt);
      return { stream: simulateReadableStream({ chunks: steps[Math.min(prompts.length, 2) - 1] }) };
    },
  });
  const menu = tool({ inputSchema: z.object({ day: z.string() }), execute: async ({ day }) => ({ [day]: ["soup"] }) });
  const messages = await loadChat(alice, chat);
  const { stream } = streamText({ model, messages: await convertToModelMessages(messages), tools: { menu }, stopWhen: isStepCount(3) });
  const [chunks, copy] = toUIMessageStream({ stream, originalMessages: messages, generateMessageId: () => "answer" }).tee();
  const response = await streamChat(alice, chat, chunks);
  let last;
  for await (const message of readUIMessageStream({ stream: copy })) last = message;
  await response.text();
  const stored = await loadChat(alice, chat);
  assert.deepEqual(stored[1], asJson(last));
  assert.deepEqual(last.parts.map((each) => each.type), ["step-start", "reasoning", "tool-menu", "step-start", "text"]);
  await saveChat(alice, chat, [messages[0], last, ui("3", "user", "Thanks.")]);
  const again = await convertToModelMessages(await loadChat(alice, chat), { tools: { menu } });
  assert.deepEqual(again.map((each) => each.role), ["user", "assistant", "tool", "assistant", "user"]);
});
