// The routes of a chat page, as Next.js has them: each takes a Request and returns a Response.

import { randomUUID } from "node:crypto";
import { Chatkeep } from "@chatkeep/client";
import { loadChat, resumeChat, saveChat, stopChat, streamChat } from "@chatkeep/client/ai-sdk";
import { convertToModelMessages, streamText, toUIMessageStream } from "ai";
import { model } from "./model.mjs";

const { SERVICE_URL: url = "http://127.0.0.1:8000", SERVICE_KEY: serviceKey } = process.env;
const chatkeep = new Chatkeep(url, { serviceKey });

/** The client of whoever is signed in. Here that is always the same user. */
const clientOf = (_request) => chatkeep.asUser("alice");

/** GET /api/chat/[id]: the messages of a chat. */
export async function load(request, id) {
  return Response.json(await loadChat(clientOf(request), id));
}

/**
 * POST /api/chat: answer the message, which is the last one, or an earlier one to be answered again.
 * The earlier answer stays, as a branch.
 */
export async function send(request) {
  const client = clientOf(request);
  const { id, message } = await request.json();
  await saveChat(client, id, [message]);
  const stored = await loadChat(client, id);
  const messages = stored.slice(0, stored.findIndex((each) => each.id === message.id) + 1);
  const stop = new AbortController();
  const { stream } = streamText({
    model,
    messages: await convertToModelMessages(messages),
    abortSignal: stop.signal,
  });
  const chunks = toUIMessageStream({ stream, originalMessages: messages, generateMessageId: randomUUID });
  return streamChat(client, id, chunks, { after: message.id, onStop: () => stop.abort() });
}

/** GET /api/chat/[id]/stream: go on with the answer that is being written; 204 if there is none. */
export const resume = (request, id) => resumeChat(clientOf(request), id);

/** POST /api/chat/[id]/stop */
export async function stop(request, id) {
  await stopChat(clientOf(request), id);
  return new Response(null, { status: 204 });
}
