// The examples of the README run as they are written.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { promisify } from "node:util";
import { serviceOfThisFile } from "./helpers.mjs";

const service = await serviceOfThisFile();
const page = await readFile(new URL("../README.md", import.meta.url), "utf8");
const examples = [...page.matchAll(/```js\n(.*?)```/gs)].map((found) => found[1]);
const tests = examples.filter((each) => each.includes("node:test"));

async function run(t, name, code, ...options) {
  // Inside the package, so that it finds itself by its name.
  const folder = await mkdtemp(new URL("../dist/readme-", import.meta.url).pathname);
  t.after(() => rm(folder, { recursive: true }));
  await writeFile(`${folder}/${name}`, code);
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  return promisify(execFile)(process.execPath, [...options, `${folder}/${name}`], { env });
}

test("the examples run", async (t) => {
  const code = examples
    .filter((each) => !tests.includes(each))
    .join("\n")
    .replace(/^const URL = .*$/m, `const URL = ${JSON.stringify(service.url)};`)
    .replace(/^const KEY = .*$/m, `const KEY = ${JSON.stringify(service.serviceKey)};`);
  const { stdout } = await run(t, "page.mjs", code);
  assert.match(stdout, /assistant There is soup\./);
  assert.match(stdout, /message\.created Is there soup\?/);
  assert.match(stdout, /^Soup, or salad\.$/m);
  assert.match(stdout, /content 1000 5000/);
});

test("the example of a test runs", async (t) => {
  assert.equal(tests.length, 1);
  const { stdout } = await run(t, "page.test.mjs", tests[0], "--test", "--test-reporter=tap");
  assert.match(stdout, /# pass 1\n# fail 0/);
});
