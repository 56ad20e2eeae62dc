import assert from "node:assert/strict";
import { test } from "node:test";
import { Chatkeep, DraftActiveError, DraftEndedError, NotFoundError } from "../dist/index.js";
import { EventReader } from "../dist/event-reader.js";
import { all, answering, says, serviceOfThisFile } from "./helpers.mjs";

const service = await serviceOfThisFile({ CHATKEEP_STREAM_IDLE_SECONDS: "2" });
const alice = service.client("alice");

test("a conversation is followed from its start, live, and until it is deleted", async () => {
  const chat = await alice.createConversation({ messages: [says("one")] });
  const seen = [];
  for await (const event of alice.followConversation(chat.id, { after: "start" })) {
    seen.push([event.type, event.message?.content]);
    assert.ok(event.cursor);
    if (event.message?.content === "one") await alice.appendMessages(chat.id, says("two"));
    if (event.message?.content === "two") await alice.deleteConversation(chat.id);
  }
  assert.deepEqual(seen, [["message.created", "one"], ["message.created", "two"], ["conversation.deleted", undefined]]);
  await assert.rejects(all(alice.followConversation("absent")), NotFoundError);
});

test("it ends when nothing happens, and goes on from there", async () => {
  const chat = await alice.createConversation({ messages: [says("one")] });
  const events = await all(alice.followConversation(chat.id));
  assert.deepEqual(events.map((each) => each.type), ["stream.idle"]);
  await alice.appendMessages(chat.id, says("two"));
  const page = await alice.getEvents(chat.id, { after: events[0].cursor, wait: 5 });
  assert.deepEqual(page.items.map((each) => each.message.content), ["two"]);
});

test("only events of the types that are wanted come", async () => {
  const chat = await alice.createConversation();
  const { next_cursor: after } = await alice.getEvents(chat.id);
  await alice.appendMessages(chat.id, says("one"));
  await alice.changeConversation(chat.id, { title: "Two" });
  const types = ["conversation.updated"];
  const page = await alice.getEvents(chat.id, { after, types });
  assert.deepEqual(page.items.map((each) => each.type), types);
  for await (const event of alice.followConversation(chat.id, { after, types })) {
    assert.equal(event.type, types[0]);
    break;
  }
});

test("all conversations of a user are followed", async () => {
  const bob = service.client("bob");
  await bob.createConversation({ title: "One" });
  const { next_cursor: after } = await bob.getMyEvents();
  const two = await bob.createConversation({ title: "Two", messages: [says("hi")] });
  const seen = new Set();
  for await (const event of bob.followMe({ after })) {
    assert.equal(event.conversation_id, two.id);
    seen.add(event.type);
    if (seen.has("conversation.created") && seen.has("message.created")) break;
  }
});

test("a signal ends following", async () => {
  const chat = await alice.createConversation();
  const reason = new Error("enough");
  const controller = new AbortController();
  const following = all(alice.followConversation(chat.id, { after: "start", signal: controller.signal }));
  setTimeout(() => controller.abort(reason), 50);
  await assert.rejects(following, (error) => error === reason);
});

test("streams that break off in the middle are resumed behind the last whole event", async (t) => {
  const asked = [];
  const event = (number) =>
    `event: message.created\nid: c${number}\ndata: ${JSON.stringify({ type: "message.created", message: { id: `m${number}` } })}\n\n`;
  const url = await answering(t, (request, response) => {
    asked.push(new URL(request.url, "http://x").searchParams.get("after"));
    response.writeHead(200, { "content-type": "text/event-stream" });
    if (asked.length === 1) {
      response.write(`: hello\n\n${event(1)}${event(2)}${event(3).slice(0, -1)}`);
      return setTimeout(() => request.socket.resetAndDestroy(), 50);
    }
    if (asked.length === 2) return response.end(event(3)); // ends cleanly
    return response.end(`${event(4)}event: stream.idle\nid: c4\ndata: {}\n\n`);
  });
  const client = new Chatkeep(url, { token: "t" });
  const events = await all(client.followConversation("c", { after: "start" }));
  assert.deepEqual(events.map((each) => each.message?.id), ["m1", "m2", "m3", "m4", undefined]);
  assert.deepEqual(asked, ["start", "c2", "c3"]);
});

test("events are read wherever the pieces end", () => {
  const text = 'event: a\r\nid: 1\r\ndata: {"type":"a",\r\ndata: "x":1}\r\n\r\n: c\n\nevent: stream.idle\nid: 2\n\n';
  for (let size = 1; size <= text.length; size++) {
    const reader = new EventReader("0");
    const events = [];
    for (let at = 0; at < text.length; at += size) events.push(...reader.feed(text.slice(at, at + size)));
    assert.deepEqual(events, [{ type: "a", x: 1, cursor: "1" }, { type: "stream.idle", cursor: "2" }]);
  }
});

test("a draft is read while it is written, and becomes a message", async () => {
  const chat = await alice.createConversation();
  const message = await alice.draft(chat.id, async (draft) => {
    await draft.write("Soup, ");
    await draft.flush();
    const page = await alice.getDraft(chat.id, draft.draft.id);
    assert.deepEqual([page.text, page.last, page.more], ["Soup, ", 1, false]);
    assert.deepEqual((await alice.listDrafts(chat.id)).map((each) => each.status), ["active"]);
    await assert.rejects(
      alice.startDraft(chat.id),
      (error) => error instanceof DraftActiveError && error.draft.id === draft.draft.id,
    );
    await draft.write("or salad.");
  });
  assert.deepEqual([message.role, message.content], ["assistant", "Soup, or salad."]);
  const deltas = [];
  for await (const event of alice.followConversation(chat.id, { after: "start" })) {
    if (event.type === "message.created") deltas.push(event.message.content);
    if (event.type === "message.created") break;
  }
  assert.deepEqual(deltas, ["Soup, or salad."]);
});

test("a writer that fails leaves what there is, and one that is cancelled learns it", async () => {
  const chat = await alice.createConversation();
  const failure = new Error("the model is gone");
  const failing = alice.draft(chat.id, async (draft) => {
    await draft.write("Half");
    throw failure;
  });
  await assert.rejects(failing, (error) => error === failure);
  const cancelled = alice.draft(chat.id, async (draft) => {
    await alice.cancelDraft(chat.id, draft.draft.id, { keep: false });
    await draft.write("x");
    await draft.flush();
  });
  await assert.rejects(cancelled, DraftEndedError);
  const history = await alice.getHistory(chat.id);
  assert.deepEqual(history.items.map((each) => each.content), ["Half"]);
});

test("chunks may be numbered by hand, and a draft finished with a whole message", async () => {
  const chat = await alice.createConversation();
  const draft = await alice.startDraft(chat.id, { id: "answer", format: "mine" });
  const chunk = { a: [1] };
  const written = await alice.writeChunks(chat.id, draft.id, [chunk], { epoch: draft.epoch, seq: 1 });
  assert.equal(written.next, 2);
  assert.deepEqual((await alice.getDraft(chat.id, "answer")).chunks, [chunk]);
  const message = { role: "assistant", content: "Done" };
  const ended = await alice.finishDraft(chat.id, "answer", { epoch: draft.epoch, message });
  assert.deepEqual([ended.draft.status, ended.message.content], ["finished", "Done"]);
});
