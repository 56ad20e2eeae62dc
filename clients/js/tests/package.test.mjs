// What `npm pack` puts into the package.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const HERE = new URL("..", import.meta.url);
const read = async (name) => JSON.parse(await readFile(new URL(name, HERE), "utf8"));
const manifest = await read("package.json");

test("the package has what the sources make, a README and a license, and nothing else", async () => {
  const options = ["pack", "--dry-run", "--json", "--ignore-scripts"];
  const { stdout } = await promisify(execFile)("npm", options, { cwd: fileURLToPath(HERE) });
  const [packed] = JSON.parse(stdout);
  const sources = (await readdir(new URL("src", HERE))).filter((name) => !name.endsWith(".d.ts"));
  const made = sources.flatMap((name) => [".js", ".d.ts"].map((end) => `dist/${name.replace(/\.ts$/, end)}`));
  const expected = ["LICENSE", "README.md", "package.json", ...made];
  assert.deepEqual(packed.files.map((each) => each.path).sort(), expected.sort());
});

test("each module that it exports is there with its types", async () => {
  assert.deepEqual(manifest.dependencies, undefined);
  for (const path of Object.values(manifest.exports)) {
    await readFile(new URL(path, HERE));
    await readFile(new URL(path.replace(/\.js$/, ".d.ts"), HERE));
  }
});

test("the license is that of chatkeep", async () => {
  const [its, ours] = await Promise.all(["LICENSE", "../../LICENSE"].map((name) => readFile(new URL(name, HERE), "utf8")));
  assert.equal(its, ours);
});

test("the lock file has a hash for each package, and no addresses", async () => {
  const { packages } = await read("package-lock.json");
  for (const [name, each] of Object.entries(packages)) {
    if (name === "") continue;
    assert.match(each.integrity ?? "", /^sha512-/, name);
    assert.equal(each.resolved, undefined, name);
  }
});

test("frameworks are imported for their types only", async () => {
  const names = (await readdir(new URL("dist", HERE))).filter((name) => name.endsWith(".js"));
  for (const name of names) {
    const code = await readFile(new URL(`dist/${name}`, HERE), "utf8");
    for (const [, from] of code.matchAll(/^(?:import|export)\b[^;]*?from "([^"]+)"/gm)) {
      assert.match(from, /^(\.\/|node:)/, `${name} imports ${from}`);
    }
  }
});
