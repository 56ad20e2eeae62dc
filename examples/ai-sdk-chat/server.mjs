// Serves the page and its routes with nothing but Node.

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { DraftActiveError } from "@chatkeep/client";
import * as chat from "./chat.mjs";

const PAGE = new URL("page.html", import.meta.url);
const ROUTES = [
  ["GET", /^\/$/, async () => new Response(await readFile(PAGE), { headers: { "content-type": "text/html; charset=utf-8" } })],
  ["POST", /^\/api\/chat$/, chat.send],
  ["GET", /^\/api\/chat\/([^/]+)$/, chat.load],
  ["GET", /^\/api\/chat\/([^/]+)\/stream$/, chat.resume],
  ["POST", /^\/api\/chat\/([^/]+)\/stop$/, chat.stop],
];

async function answer(request) {
  const { pathname } = new URL(request.url);
  for (const [method, path, route] of ROUTES) {
    const found = path.exec(pathname);
    if (!found || method !== request.method) continue;
    try {
      return await route(request, found[1] && decodeURIComponent(found[1]));
    } catch (error) {
      if (error instanceof DraftActiveError) return new Response("another answer is being written", { status: 409 });
      console.error(error);
      return new Response("it did not work", { status: 500 });
    }
  }
  return new Response("there is no such page", { status: 404 });
}

const server = createServer(async (incoming, outgoing) => {
  const { method, headers, url } = incoming;
  const body = method === "POST" ? Readable.toWeb(incoming) : undefined;
  const response = await answer(new Request(`http://${headers.host}${url}`, { method, headers, body, duplex: "half" }));
  outgoing.writeHead(response.status, Object.fromEntries(response.headers));
  if (!response.body) return outgoing.end();
  await pipeline(Readable.fromWeb(response.body), outgoing).catch(() => undefined); // the reader left
});

server.listen(Number(process.env.PORT ?? 3000), "127.0.0.1", () => {
  console.log(`the chat is on http://127.0.0.1:${server.address().port}/`);
});
