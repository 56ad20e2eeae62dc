import { createServer } from "node:http";
import { after } from "node:test";
import { memoryService } from "../dist/testing.js";

/** Start a service for the tests of one file. */
export async function serviceOfThisFile(settings = {}) {
  const service = await memoryService({ settings });
  after(() => service.stop());
  return service;
}

/** Start a server whose answers are those of a test, which is stopped at the end of it. */
export async function answering(t, listener) {
  const server = createServer(listener);
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${server.address().port}`;
}

/** Return an address where nobody answers. */
export async function nowhere() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return `http://127.0.0.1:${port}`;
}

/** Return all that an async iterator yields. */
export async function all(items) {
  const found = [];
  for await (const each of items) found.push(each);
  return found;
}

export const says = (content) => ({ role: "user", content });
