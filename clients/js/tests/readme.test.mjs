// The examples of the README run as they are written.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHmac } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { serviceOfThisFile } from "./helpers.mjs";

const SECRET = "a secret of this test that is long enough";
const service = await serviceOfThisFile({ CHATKEEP_JWT_SECRET: SECRET });
const page = await readFile(new URL("../README.md", import.meta.url), "utf8");
const examples = [...page.matchAll(/```js\n(.*?)```/gs)].map((found) => found[1]);
const frameworks = await readFile(new URL("../../../docs/frameworks.md", import.meta.url), "utf8");
const tests = examples.filter((each) => each.includes("node:test"));

// A page that calls the routes.
const PAGE = `
async function answer(messages) {
  const text = messages.at(-1).parts[0].text + " Yes.";
  const parts = [{ type: "text-start", id: "1" }, { type: "text-delta", id: "1", delta: text }, { type: "text-end", id: "1" }];
  return ReadableStream.from([{ type: "start" }, ...parts, { type: "finish" }]);
}
const message = { id: "q", role: "user", parts: [{ type: "text", text: "Soup?" }] };
const posted = await POST(new Request("http://page/", { method: "POST", body: JSON.stringify({ id: "page", message }) }));
console.log(posted.status, (await posted.text()).includes("Soup? Yes."), (await loadChat(alice, "page")).length);
console.log((await GET(null, "page")).status);
await STOP(null, "page");
`;

const CALLED = `const URL = ${JSON.stringify(service.url)};\nconst KEY = ${JSON.stringify(service.serviceKey)};\n`;

// A model of the OpenAI Agents SDK.
const MODEL = `
import { setTracingDisabled, Usage } from "@openai/agents";
setTracingDisabled(true);
const content = [{ type: "output_text", text: "Yes." }];
const output = [{ type: "message", role: "assistant", status: "completed", content }];
const MODEL = { getResponse: async () => ({ usage: new Usage(), output }) };
`;

async function run(t, name, code, ...options) {
  // Inside the package, so that it finds itself by its name.
  const build = fileURLToPath(new URL("../build/", import.meta.url));
  await mkdir(build, { recursive: true });
  const folder = await mkdtemp(`${build}readme-`);
  t.after(() => rm(folder, { recursive: true }));
  await writeFile(`${folder}/${name}`, code);
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  return promisify(execFile)(process.execPath, [...options, `${folder}/${name}`], { env });
}

test("the examples run", async (t) => {
  const code = examples
    .filter((each) => !tests.includes(each))
    .map((each) => (each.includes("POST(") ? each + PAGE : each))
    .join("\n")
    .replace(/^const URL = .*$/m, "")
    .replace(/^const KEY = .*$/m, CALLED);
  const { stdout } = await run(t, "page.mjs", code);
  assert.match(stdout, /assistant There is soup\./);
  assert.match(stdout, /message\.created Is there soup\?/);
  assert.match(stdout, /^Soup, or salad\.$/m);
  assert.match(stdout, /^200 true 2\n204$/m);
  assert.match(stdout, /content 1000 5000/);
});

test("the example of a test runs", async (t) => {
  assert.equal(tests.length, 1);
  const { stdout } = await run(t, "page.test.mjs", tests[0], "--test", "--test-reporter=tap");
  assert.match(stdout, /# pass 1\n# fail 0/);
});

/** Run the example of docs/frameworks.md that has this in it, and return what it prints. */
async function runExample(t, word, before, after = "") {
  const found = [...frameworks.matchAll(/```js\n(.*?)```/gs)].map(([, code]) => code).filter((code) => code.includes(word));
  assert.equal(found.length, 1, word);
  const code = found[0].replace(/^import .* from "@assistant-ui\/react";$/m, "");
  return (await run(t, "page.mjs", CALLED + before + code + after)).stdout;
}

test("the example of the OpenAI Agents SDK runs", async (t) => {
  assert.equal(await runExample(t, "@openai/agents", MODEL), "4 items\n");
});

/** Return a token of a user, valid for an hour. */
function tokenOf(sub) {
  const claims = { sub, exp: Math.floor(Date.now() / 1000) + 3_600 };
  const signed = [{ alg: "HS256", typ: "JWT" }, claims].map((each) => Buffer.from(JSON.stringify(each)).toString("base64url")).join(".");
  return `${signed}.${createHmac("sha256", SECRET).update(signed).digest("base64url")}`;
}

test("the example of assistant-ui runs", async (t) => {
  // What @assistant-ui/react passes on.
  const hooks = `
import { useAui } from "@assistant-ui/store";
import { useLocalRuntime, useRemoteThreadListRuntime } from "@assistant-ui/core/react";
const [TOKEN, MODEL] = [${JSON.stringify(tokenOf("alice"))}, {}];
`;
  const after = `
const { remoteId } = await adapter.initialize("local", { custom: { shop: 7 } });
console.log((await adapter.fetch(remoteId)).custom, typeof useRuntime);
`;
  assert.equal(await runExample(t, "@assistant-ui/react", hooks, after), "{ shop: 7 } function\n");
});

test("the example of resumable streams runs", async (t) => {
  const before = 'const MODEL_STREAM = ReadableStream.from([new TextEncoder().encode("Soup.")]);\n';
  assert.equal(await runExample(t, "assistant-stream/resumable", before), "Soup.\nSoup.\n");
});
