// The example of a chat page, called by the chat of the package `ai`, which `useChat` is made of.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { cp, mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { AbstractChat, DefaultChatTransport } from "ai";
import { loadChat } from "../dist/ai-sdk.js";
import { serviceOfThisFile } from "./helpers.mjs";

const service = await serviceOfThisFile();
const alice = service.client("alice");
const url = await start();
const api = `${url}/api/chat`;

/** Start the example, as if it were installed, and return its address. */
async function start() {
  const here = fileURLToPath(new URL("..", import.meta.url));
  await mkdir(`${here}build`, { recursive: true });
  const folder = await mkdtemp(`${here}build/example-`);
  await cp(`${here}../../examples/ai-sdk-chat`, folder, { recursive: true, filter: (path) => !path.includes("node_modules") });
  await mkdir(`${folder}/node_modules/@chatkeep`, { recursive: true });
  await symlink(here, `${folder}/node_modules/@chatkeep/client`);
  const env = { ...process.env, PORT: "0", WORD_MS: "30", SERVICE_URL: service.url, SERVICE_KEY: service.serviceKey };
  const child = spawn(process.execPath, [`${folder}/server.mjs`], { env, stdio: ["ignore", "pipe", "inherit"] });
  after(async () => {
    child.kill();
    await rm(folder, { recursive: true });
  });
  let printed = "";
  for await (const piece of child.stdout) {
    printed += piece;
    const found = /http:\S+\d/.exec(printed);
    if (found) return found[0];
  }
  throw new Error(`the example did not start: ${printed}`);
}

/** A chat of a page. */
class Chat extends AbstractChat {
  constructor(id, messages = []) {
    const state = {
      status: "ready", error: undefined, messages: [...messages],
      pushMessage: (message) => state.messages.push(message),
      popMessage: () => state.messages.pop(),
      replaceMessage: (index, message) => (state.messages[index] = message),
      snapshot: (each) => structuredClone(each),
    };
    const prepareSendMessagesRequest = ({ id: chat, messages: all }) => ({ body: { id: chat, message: all.at(-1) } });
    super({ id, state, transport: new DefaultChatTransport({ api, prepareSendMessagesRequest }) });
  }
}

/** Messages without members that are undefined, which JSON has not. */
const sent = (messages) => JSON.parse(JSON.stringify(messages));
const textOf = (message) => message.parts.map((part) => part.text ?? "").join("");
const until = async (condition) => {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 10));
};

test("the page is served", async () => {
  assert.match(await (await fetch(url)).text(), /survives a reload/);
  assert.equal((await fetch(`${url}/nowhere`)).status, 404);
});

test("a chat is answered and stored as the page has it", async () => {
  const page = new Chat("one");
  await page.sendMessage({ text: "Soup?" });
  assert.equal(page.error, undefined);
  assert.match(textOf(page.lastMessage), /^You said "Soup\?", and I have 1 messages/);
  assert.deepEqual(await loadChat(alice, "one"), sent(page.messages));
  const reloaded = new Chat("one", await (await fetch(`${api}/one`)).json());
  await reloaded.resumeStream();
  assert.equal(reloaded.messages.length, 2);
  await reloaded.sendMessage({ text: "And salad?" });
  assert.match(textOf(reloaded.lastMessage), /3 messages/);
  assert.deepEqual(await loadChat(alice, "one"), sent(reloaded.messages));
});

test("a page that was reloaded gets the whole answer, also what it missed", async () => {
  const page = new Chat("two");
  const sending = page.sendMessage({ text: "Soup?" });
  await until(() => page.status === "streaming");
  const reloaded = new Chat("two", await loadChat(alice, "two"));
  assert.equal(reloaded.messages.length, 1);
  await Promise.all([reloaded.resumeStream(), sending]);
  assert.deepEqual(sent(reloaded.messages), sent(page.messages));
  assert.deepEqual(await loadChat(alice, "two"), sent(page.messages));
});

test("stop ends the answer in all pages, and keeps what there is", async () => {
  const page = new Chat("three");
  const sending = page.sendMessage({ text: "Soup? ".repeat(100) });
  await until(() => page.status === "streaming");
  const refused = new Chat("three", page.messages.slice(0, 1));
  await refused.sendMessage({ text: "Hello?" });
  assert.match(refused.error.message, /another answer is being written/);
  assert.equal((await fetch(`${api}/three/stop`, { method: "POST" })).status, 204);
  await sending;
  await until(() => page.status === "ready");
  const stored = await loadChat(alice, "three");
  assert.ok(stored.length >= 2 && textOf(stored.at(-1)).length < 600);
  assert.equal((await fetch(`${api}/three/stream`)).status, 204);
});

test("an answer that is generated again takes the place of the other, which stays as a branch", async () => {
  const page = new Chat("four");
  await page.sendMessage({ text: "Soup?" });
  const [, first] = page.messages;
  await page.regenerate();
  const [, second] = page.messages;
  assert.notEqual(first.id, second.id);
  assert.deepEqual(await loadChat(alice, "four"), sent(page.messages));
  assert.deepEqual((await alice.listSiblings("four", first.id)).map((each) => each.id), [first.id, second.id]);
});
