// Every operation of the service's own document has a method with its parameters, and every field of an answer a type.

import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { serviceOfThisFile } from "./helpers.mjs";

const service = await serviceOfThisFile();
const document = await (await fetch(`${service.url}/docs/openapi.json`)).json();

const LEFT_OUT = {
  resumeStream: "the AI SDK calls it itself",
  stopStream: "the page calls it itself",
};
// Below /openai, only items have methods: OpenAI's own package calls the rest, and conversations have theirs.
const ITEMS = { openaiCreateItems: "appendItems", openaiListItems: "listItems", openaiDeleteItem: "deleteItem" };
// Methods with the rest of the arguments.
const ALSO = {
  getHistory: ["getUIHistory"],
  getMessage: ["getUIMessage"],
  followConversation: ["getEvents"],
  followMe: ["getMyEvents"],
};
const NAMES = {
  "Idempotency-Key": "idempotency_key",
  "If-Match": "expected_revision",
  "If-None-Match": "known_revision",
  "Last-Event-ID": "after",
  "getOrCreateConversation If-None-Match": "must_be_new",
  conversation_id: "conversationId",
  message_id: "messageId",
  draft_id: "draftId",
  item_id: "itemId",
  user_id: "userId",
};
// `getHistory` and `getUIHistory` are the two formats. Of items, nothing can be included.
const FIXED = new Set(["getHistory format", "getMessage format", "openaiCreateItems include", "openaiListItems include"]);
const SCHEMAS = {
  NewMessage: "NewMessage",
  MessageOut: "Message",
  ConversationOut: "Conversation",
  CreatedConversation: "CreatedConversation",
  ConversationPage: "ConversationPage",
  Appended: "Appended",
  TruncatedOut: "Truncated",
  ReplacedOut: "Replaced",
  BranchOut: "Branch",
  SiblingOut: "Sibling",
  OpenAIContext: "Context",
  AnthropicContext: "Context",
  UIContext: "Context",
  EventOut: "Event",
  DraftOut: "Draft",
  ReadDraftOut: "DraftPage",
  HitOut: "Hit",
  ReadingOut: "QueryPart",
  SearchPageOut: "SearchPage",
  UsageOut: "Usage",
};

const index = fileURLToPath(new URL("../dist/index.d.ts", import.meta.url));
const program = ts.createProgram([index], { module: ts.ModuleKind.NodeNext, lib: ["lib.es2022.d.ts", "lib.dom.d.ts"], types: [], strict: true });
const checker = program.getTypeChecker();
const exported = new Map(
  checker.getExportsOfModule(checker.getSymbolAtLocation(program.getSourceFile(index))).map((symbol) => {
    const its = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
    return [symbol.name, checker.getDeclaredTypeOfSymbol(its)];
  }),
);
const fieldsOf = (type) => checker.getPropertiesOfType(type).map((each) => each.name);

/** Return the names of a method's parameters and of the properties of its options; null without such a method. */
function argumentsOf(name) {
  const method = exported.get("Chatkeep").getProperty(name);
  if (!method) return null;
  const type = checker.getTypeOfSymbol(method);
  return type.getCallSignatures().flatMap((signature) =>
    signature.parameters.flatMap((parameter) => {
      const its = checker.getNonNullableType(checker.getTypeOfSymbol(parameter));
      return parameter.name === "options" ? fieldsOf(its) : [parameter.name];
    }),
  );
}

function bodyFields(operation) {
  const schema = operation.requestBody?.content["application/json"]?.schema ?? {};
  const references = (schema.oneOf ?? [schema]).flatMap((each) => each.$ref ?? []);
  if (references.length === 0) return [];
  const name = references[0].split("/").at(-1);
  if (name === "NewMessage") return ["message"];
  // `messages` takes one or several messages.
  if (operation.operationId === "appendMessages") return ["messages", "after"];
  return Object.keys(document.components.schemas[name].properties);
}

function* operations(paths) {
  for (const [path, methods] of Object.entries(paths)) {
    for (const [method, operation] of Object.entries(methods)) yield { path, method, operation };
  }
}

/** Return what the document has and the client does not. */
function faults(paths, has = argumentsOf) {
  const found = [];
  for (const { path, method, operation } of operations(paths)) {
    const id = operation.operationId;
    if (LEFT_OUT[id] || (path.startsWith("/openai/") && !ITEMS[id])) continue;
    const name = ITEMS[id] ?? id;
    const its = has(name);
    if (its === null) {
      found.push(`${method} ${path}: no method ${name}`);
      continue;
    }
    const all = new Set([...its, ...(ALSO[id] ?? []).flatMap((each) => has(each) ?? [])]);
    const parameters = (operation.parameters ?? []).map((each) => each.name).filter((each) =>
      // A change that must not find one revision: nothing needs that.
      !(each === "If-None-Match" && method !== "get" && id !== "getOrCreateConversation") && !each.startsWith("x-stainless"));
    for (const each of [...parameters, ...bodyFields(operation)]) {
      const argument = NAMES[`${id} ${each}`] ?? NAMES[each] ?? each;
      const given = all.has(argument) || all.has(each);
      if (!given && !FIXED.has(`${id} ${each}`)) found.push(`${name}: no argument ${argument}`);
    }
  }
  return found;
}

test("every operation has a method with its arguments, or a reason why not", () => {
  assert.deepEqual(faults(document.paths), []);
  const known = new Set([...operations(document.paths)].map(({ operation }) => operation.operationId));
  for (const id of [...Object.keys(LEFT_OUT), ...Object.keys(ITEMS), ...Object.keys(ALSO)]) assert.ok(known.has(id), id);
});

test("an operation or an argument that is missing is found", () => {
  const paths = { ...document.paths, "/v1/minds": { get: { operationId: "readMinds" } } };
  const has = (name) => (name === "eraseMe" ? null : argumentsOf(name)?.filter((each) => each !== "userId") ?? null);
  assert.deepEqual(new Set(faults(paths, has)), new Set([
    "get /v1/minds: no method readMinds",
    "delete /v1/me: no method eraseMe",
    "putUser: no argument userId",
    "eraseUser: no argument userId",
  ]));
});

test("every field of a body has its type", () => {
  for (const [schema, type] of Object.entries(SCHEMAS)) {
    const typed = new Set(fieldsOf(exported.get(type)));
    const missing = Object.keys(document.components.schemas[schema].properties).filter((each) => !typed.has(each));
    assert.deepEqual(missing, [], type);
  }
});

test("each method that is typed is there", async () => {
  const { Chatkeep } = await import("../dist/index.js");
  const typed = fieldsOf(exported.get("Chatkeep")).filter((name) => !name.startsWith("#"));
  assert.ok(typed.length > 40);
  for (const name of typed) assert.ok(name in Chatkeep.prototype, name);
});
