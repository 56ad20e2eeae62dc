import assert from "node:assert/strict";
import { test } from "node:test";
import * as errors from "../dist/index.js";
import { all, answering, says, serviceOfThisFile } from "./helpers.mjs";

const service = await serviceOfThisFile();
const alice = service.client("alice");

async function chatOf(...texts) {
  const chat = await alice.createConversation();
  const { messages } = await alice.appendMessages(chat.id, texts.map(says));
  return [chat.id, messages.map((each) => each.id)];
}

test("messages are put, patched, deleted, truncated and replaced", async () => {
  const [chat, ids] = await chatOf("a", "b", "c", "d");
  const put = await alice.putMessage(chat, ids[0], says("A"));
  assert.deepEqual([put.content, put.created, put.revision > 0], ["A", false, true]);
  assert.equal((await alice.putMessage(chat, "new", says("e"))).created, true);
  const patched = await alice.patchMessage(chat, ids[1], { metadata: { rating: 1 }, tokens: 3 });
  assert.deepEqual([patched.metadata, patched.tokens], [{ rating: 1 }, 3]);
  assert.equal(await alice.deleteMessage(chat, "new"), patched.revision + 1);
  const truncated = await alice.truncateMessages(chat, { after: ids[2] });
  assert.deepEqual([truncated.deleted, truncated.message_count], [1, 3]);
  assert.equal((await alice.truncateMessages(chat, { from: ids[2] })).message_count, 2);
  await assert.rejects(
    alice.replaceMessages(chat, [says("x")], { after: ids[0], expected: [] }),
    (error) => error instanceof errors.SuffixDiffersError && error.found[0] === ids[1],
  );
  const replaced = await alice.replaceMessages(chat, [says("x"), says("y")], { after: ids[0], expected: [ids[1]] });
  assert.deepEqual([replaced.deleted, replaced.message_count], [1, 3]);
  const history = await all(alice.iterHistory(chat));
  assert.deepEqual(history.map((each) => each.content), ["A", "x", "y"]);
});

test("what is on hold stays", async () => {
  const [chat, ids] = await chatOf("a");
  await alice.changeConversation(chat, { retain: true });
  await assert.rejects(alice.deleteMessage(chat, ids[0]), errors.RetainedError);
  await assert.rejects(alice.eraseMe(), errors.RetainedError);
  await alice.changeConversation(chat, { retain: false });
});

test("branches start, are listed, chosen, deleted and forked", async () => {
  const [chat, ids] = await chatOf("a", "b");
  const other = await alice.appendMessages(chat, says("B"), { after: ids[0] });
  assert.equal(other.branch, 1);
  const branches = await all(alice.iterBranches(chat, { page_size: 1 }));
  assert.deepEqual(branches.map((each) => [each.number, each.is_current]), [[0, false], [1, true]]);
  const siblings = await alice.listSiblings(chat, ids[1]);
  assert.deepEqual(siblings.map((each) => each.branch), [0, 1]);
  assert.deepEqual((await all(alice.iterHistory(chat, { branch: "all" }))).map((each) => each.branch), [0, 0, 1]);
  const forked = await alice.forkConversation(chat, { at: ids[1], title: "Copy" });
  assert.deepEqual([forked.title, forked.message_count, forked.forked_from.conversation_id], ["Copy", 2, chat]);
  const changed = await alice.changeBranch(chat, 0, { name: "first", is_current: true });
  assert.deepEqual([changed.name, changed.is_current, changed.revision > 0], ["first", true, true]);
  await assert.rejects(alice.deleteBranch(chat, 0), errors.WrongBranchError);
  assert.equal(typeof (await alice.deleteBranch(chat, 1)), "number");
  assert.equal((await alice.listBranches(chat)).items.length, 1);
});

test("searches find what was said, in pages", async () => {
  const [chat] = await chatOf("saffron one", "saffron two", "pepper");
  const hits = await all(alice.iterSearch("saffron", { page_size: 1 }));
  assert.deepEqual(hits.map((each) => each.snippet), ["saffron two", "saffron one"]);
  assert.deepEqual([hits[0].conversation_id, hits[0].highlights], [chat, [[0, 7]]]);
  const page = await alice.search("saffron", { group: "conversation" });
  assert.deepEqual([page.items.length, page.complete, page.query.written], [1, true, "saffron"]);
  await alice.appendItems(chat, [{ type: "reasoning", id: "rs_1", summary: [{ text: "thyme" }] }]);
  const [item] = (await alice.search("thyme")).items;
  assert.deepEqual([item.kind, item.item_id, item.item_type], ["item", "rs_1", "reasoning"]);
  assert.equal((await alice.getHistory(chat, { around: item.item_id, limit: 4 })).items.length, 2);
});

test("items are those of OpenAI's Conversations API", async () => {
  const [chat] = await chatOf("a");
  const items = ["b", "c"].map((text) => ({ role: "user", content: text }));
  const added = await alice.appendItems(chat, items);
  const found = await all(alice.iterItems(chat, { page_size: 1 }));
  assert.deepEqual(found.slice(1), added);
  assert.equal((await alice.listItems(chat, { limit: 1 })).data[0].id, added[1].id);
  await alice.deleteItem(chat, added[0].id);
  assert.equal((await alice.getConversation(chat)).message_count, 2);
});

test("a user is counted, exported and erased", async () => {
  const root = service.client();
  assert.deepEqual(await root.putUser("carol"), { id: "carol", created: true });
  assert.equal((await root.putUser("carol")).created, false);
  const page = await root.listUsers({ prefix: "caro", limit: 1 });
  assert.deepEqual(page.items.map((each) => [each.id, each.conversations.value]), [["carol", 0]]);
  assert.equal((await root.getOverview()).days.length, 14);
  assert.deepEqual(await root.listAudit({ user: "carol" }), { items: [], next_cursor: null });
  const carol = service.client("carol");
  for (const text of ["one", "two é\u2028"]) {
    await carol.createConversation({ messages: [says(text)] });
  }
  const usage = await carol.getUsage();
  assert.deepEqual([usage.user_id, usage.conversations, usage.messages], ["carol", 2, 2]);
  const lines = (await all(carol.exportMe())).map((line) => JSON.parse(line));
  assert.deepEqual(lines.map((each) => each.messages[0].content).sort(), ["one", "two é\u2028"]);
  for await (const line of carol.exportMe()) {
    assert.ok(line);
    break;
  }
  const { items: [first] } = await carol.listConversations();
  const file = (await all(carol.exportConversation(first.id))).join("");
  assert.equal(JSON.parse(file).id, first.id);
  const [text] = await all(carol.exportConversation(first.id, { format: "markdown" }));
  assert.match(text, /^# Untitled conversation\n/u);
  await carol.eraseMe();
  assert.equal((await carol.getUsage()).conversations, 0);
  await root.putUser("carol");
  await root.eraseUser("carol");
  await assert.rejects(root.eraseUser("carol"), errors.NotFoundError);
});

test("an export that ends early is an error", async (t) => {
  const url = await answering(t, (request, response) => {
    response.write('{"id": 1}\n{"id"');
    setTimeout(() => (request.url.startsWith("/cut") ? response.end() : response.destroy()), 20);
  });
  for (const path of ["/cut", "/broken"]) {
    const client = new errors.Chatkeep(url + path, { token: "t" });
    const lines = [];
    await assert.rejects(async () => {
      for await (const line of client.exportMe()) lines.push(line);
    }, errors.IncompleteExportError);
    assert.deepEqual(lines, ['{"id": 1}']);
  }
});

test("the health of the service", async () => {
  assert.deepEqual([await alice.isLive(), await alice.isReady()], [true, true]);
  const wrong = new errors.Chatkeep(`${service.url}/nothing`, { token: "t" });
  assert.equal(await wrong.isReady(), false);
});
