import assert from "node:assert/strict";
import { test } from "node:test";
import { Chatkeep, ConnectionFailedError, ServerError, TooManyRequestsError, UnavailableError, UnexpectedAnswerError } from "../dist/index.js";
import { all, answering, nowhere, says, serviceOfThisFile } from "./helpers.mjs";
import { network } from "./network.mjs";

const WRITERS = 12;
const APPENDS = 12;
const service = await serviceOfThisFile();

test("twelve writers on a network that loses requests and answers: nothing lost, nothing doubled", async (t) => {
  const link = await network(t, service);
  const { serviceKey } = service;
  const writer = new Chatkeep(link.url, { serviceKey, user: "alice", maxRetries: 60 });
  const chat = await writer.createConversation();
  link.broken = 0.1;
  const write = async (number) => {
    for (let count = 0; count < APPENDS; count++) {
      await writer.appendMessages(chat.id, says(`writer ${number} ${count}`));
    }
  };
  await Promise.all(Array.from({ length: WRITERS }, (_, number) => write(number)));
  const history = (await all(service.client("alice").iterHistory(chat.id))).map((each) => each.content);
  assert.equal(history.length, WRITERS * APPENDS);
  for (let number = 0; number < WRITERS; number++) {
    const mine = history.filter((each) => each.startsWith(`writer ${number} `));
    assert.deepEqual(mine, Array.from({ length: APPENDS }, (_, count) => `writer ${number} ${count}`));
  }
  assert.ok(link.lost.request > 0 && link.lost.answer > 0, JSON.stringify(link.lost));
});

/** Answer with these in turn, the last one for ever: [status, headers, body], or null: break off. */
async function script(t, ...answers) {
  const requests = [];
  const url = await answering(t, (request, response) => {
    let body = "";
    request.on("data", (chunk) => (body += chunk));
    request.on("end", () => {
      requests.push({ method: request.method, url: request.url, headers: request.headers, body, at: performance.now() });
      const answer = answers[Math.min(requests.length, answers.length) - 1];
      if (answer === null) return request.socket.resetAndDestroy();
      const [status, headers, text] = answer;
      response.writeHead(status, headers);
      return response.end(typeof text === "string" ? text : JSON.stringify(text));
    });
  });
  const client = (options = {}) => new Chatkeep(url, { token: "t", ...options });
  return { requests, client };
}

const APPENDED = [201, { etag: '"7"' }, { messages: [] }];
const OVERLOADED = { type: "urn:chatkeep:problem:overloaded", title: "Overloaded", status: 503 };

test("503 and 429 are tried again, not before Retry-After", async (t) => {
  const answers = [[503, { "retry-after": "1" }, OVERLOADED], [429, { "retry-after": "1" }, {}], APPENDED];
  const { requests, client } = await script(t, ...answers);
  assert.equal((await client().appendMessages("c", says("x"))).revision, 7);
  assert.equal(requests.length, 3);
  for (const place of [1, 2]) assert.ok(requests[place].at - requests[place - 1].at >= 1_000);
});

test("each attempt has the same ids", async (t) => {
  const { requests, client } = await script(t, null, [502, {}, "no JSON"], APPENDED);
  await client().appendMessages("c", [says("x"), says("y")]);
  assert.equal(new Set(requests.map((each) => each.body)).size, 1);
  const { messages } = JSON.parse(requests[0].body);
  assert.match(messages[0].id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.equal(messages[1].id, undefined);
});

test("where an original may have the id, a key makes the append safe", async (t) => {
  const { requests, client } = await script(t, APPENDED);
  await client().appendMessages("c", { format: "ai-sdk", original: { id: "a" } });
  assert.equal(JSON.parse(requests[0].body).messages[0].id, undefined);
  assert.match(requests[0].headers["idempotency-key"], /^[0-9a-f-]{36}$/);
  await client().appendMessages("c", says("x"), { idempotency_key: "mine" });
  assert.equal(requests[1].headers["idempotency-key"], "mine");
});

test("it ends after the last attempt, with the error", async (t) => {
  const refusing = await script(t, [503, { "retry-after": "0" }, OVERLOADED]);
  await assert.rejects(refusing.client({ maxRetries: 2 }).getConversation("c"), (error) => {
    assert.ok(error instanceof UnavailableError);
    assert.deepEqual([error.code, error.retryAfter], ["overloaded", 0]);
    return true;
  });
  assert.equal(refusing.requests.length, 3);
  const breaking = await script(t, null);
  await assert.rejects(
    breaking.client({ maxRetries: 1 }).getConversation("c"),
    (error) => error instanceof ConnectionFailedError && error.mayBeDone && error.cause instanceof Error,
  );
  const nobody = new Chatkeep(await nowhere(), { token: "t", maxRetries: 1 });
  await assert.rejects(nobody.getConversation("c"), (error) => !error.mayBeDone);
});

test("nobody waits for more than a minute, and other errors are final", async (t) => {
  const later = await script(t, [429, { "retry-after": "61" }, {}]);
  await assert.rejects(later.client().getConversation("c"), TooManyRequestsError);
  const faulty = await script(t, [500, {}, {}]);
  await assert.rejects(faulty.client().getConversation("c"), ServerError);
  assert.deepEqual([later.requests.length, faulty.requests.length], [1, 1]);
});

test("a change with a revision is sent again only if it was refused", async (t) => {
  const body = { id: "c", title: "x" };
  const lost = await script(t, null, [200, {}, body]);
  await assert.rejects(
    lost.client().changeConversation("c", { title: "x", expected_revision: 1 }),
    (error) => error instanceof ConnectionFailedError && error.mayBeDone,
  );
  const refused = await script(t, [503, {}, OVERLOADED], [200, {}, body]);
  await refused.client().changeConversation("c", { title: "x", expected_revision: 1 });
  assert.deepEqual([lost.requests.length, refused.requests.length], [1, 2]);
  assert.equal(refused.requests[1].headers["if-match"], '"1"');
});

test("a deletion whose answer was lost succeeds when it finds nothing", async (t) => {
  const { client } = await script(t, null, [404, {}, {}]);
  await client().deleteConversation("c");
});

test("an attempt that takes too long is given up, and made again", async (t) => {
  let count = 0;
  const url = await answering(t, (_, response) => {
    count += 1;
    if (count > 1) response.end(JSON.stringify({ id: "c" }));
  });
  const client = new Chatkeep(url, { token: "t", timeout: 1 });
  assert.equal((await client.getConversation("c")).id, "c");
});

test("the answer of something else is not taken for chatkeep's", async (t) => {
  for (const answer of [[200, {}, "<html>"], [302, { location: "/elsewhere" }, ""], [200, {}, "null"]]) {
    const { requests, client } = await script(t, answer);
    await assert.rejects(client().getConversation("c"), UnexpectedAnswerError);
    assert.equal(requests.length, 1);
  }
});
