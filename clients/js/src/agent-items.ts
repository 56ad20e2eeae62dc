// Items of the OpenAI Agents SDK as messages that everything else can read, and back.

import type { AgentInputItem } from "@openai/agents";
import { contentOf, textOf } from "./fitting.js";
import type { JsonObject, Message, NewMessage, Role } from "./models.js";

const FORMAT = "openai-agents";
const BYTES = "chatkeep.bytes";
/** `fromCharCode` takes so many at once. */
const PIECE = 0x2000;

/** Return an item as a message whose `original` is the whole of it. */
export function toMessage(item: AgentInputItem): NewMessage {
  const original = toJson(item) as JsonObject;
  return { ...readable(original), format: FORMAT, original };
}

/** Return the items of a message: its own, or those that another client's message means. */
export function toItems(message: Message): AgentInputItem[] {
  if (message.format === FORMAT && isObject(message.original)) {
    return [fromJson(message.original) as AgentInputItem];
  }
  const { role, content, tool_call_id: callId } = message;
  if (role === "tool") {
    const output = { type: "text", text: textOf(content) };
    const name = message.name ?? "tool";
    return [{ type: "function_call_result", callId, name, status: "completed", output } as AgentInputItem];
  }
  if (role !== "assistant") {
    return [{ role: role === "user" ? "user" : "system", content: textOf(content) } as AgentInputItem];
  }
  const said = { role, status: "completed", content: [{ type: "output_text", text: textOf(content) }] };
  const calls = (message.tool_calls ?? []).map((call) => {
    const { name, arguments: values } = (call.function ?? {}) as JsonObject;
    return { type: "function_call", callId: call.id, name, arguments: values, status: "completed" };
  });
  return (calls.length > 0 && content === null ? calls : [said, ...calls]) as AgentInputItem[];
}

/** Whether two items are the same, as they are stored. */
export function areSame(one: AgentInputItem, other: AgentInputItem): boolean {
  return canonical(one) === canonical(other);
}

/** Return any value as a text that is the same for the same value. */
export function canonical(value: unknown): string {
  return JSON.stringify(toJson(value), (_, each: unknown) =>
    isObject(each) ? Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1))) : each,
  );
}

/** Return role, content and calls. Of what is not text, the content has the type. */
function readable(item: JsonObject): NewMessage {
  const { type = "message", callId, name } = item;
  if (type === "message") return { role: item.role as Role, content: contentOf(item.content) };
  if (type === "function_call" && typeof callId === "string") {
    const call = { id: callId, type: "function", function: { name, arguments: item.arguments } };
    return { role: "assistant", content: null, tool_calls: [call] };
  }
  if (type === "function_call_result" && typeof callId === "string") {
    const output = Array.isArray(item.output) ? item.output : [item.output];
    const content = typeof item.output === "string" ? item.output : textOf(output);
    return { role: "tool", tool_call_id: callId, content };
  }
  const other: NewMessage = { role: "assistant", content: [{ type }] };
  return type === "compaction" ? { ...other, starts_context: true } : other;
}

/** Return a value as JSON has it: bytes are Base64, and what is undefined is left out. */
function toJson(value: unknown): unknown {
  if (value instanceof Uint8Array) return { [BYTES]: toBase64(value) };
  if (Array.isArray(value)) return value.map(toJson);
  if (!isObject(value)) return value;
  const members = Object.entries(value).filter(([, each]) => each !== undefined);
  return Object.fromEntries(members.map(([name, each]) => [name, toJson(each)]));
}

function fromJson(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(fromJson);
  if (!isObject(value)) return value;
  const { [BYTES]: bytes } = value;
  if (typeof bytes === "string") return Uint8Array.from(atob(bytes), (char) => char.charCodeAt(0));
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, fromJson(each)]));
}

function toBase64(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += PIECE) {
    text += String.fromCharCode(...bytes.subarray(at, at + PIECE));
  }
  return btoa(text);
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
