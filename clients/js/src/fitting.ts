// Messages whose whole is their `original`, cut to the limits of the service.

import { LimitExceededError } from "./errors.js";
import type { JsonObject, NewMessage } from "./models.js";

const OF_USERS = "CHATKEEP_MAX_USER_MESSAGE_CHARS";

/** Send messages, their contents and calls cut to the limits that the service names. @internal */
export async function sendFitting<T>(
  messages: readonly NewMessage[],
  send: (messages: readonly NewMessage[]) => Promise<T>,
): Promise<T> {
  for (let sent = messages; ; ) {
    try {
      return await send(sent);
    } catch (error) {
      if (!(error instanceof LimitExceededError) || error.limit === undefined) throw error;
      const shorter = sent.map((message) => cut(message, error, error.limit as number));
      if (shorter.every((message, place) => message === sent[place])) throw error;
      sent = shorter;
    }
  }
}

function cut(message: NewMessage, error: LimitExceededError, limit: number): NewMessage {
  if (error.setting === OF_USERS && message.role !== "user") return message;
  const field = error.field?.split(".").at(-1);
  if (field === "content") {
    const chars = [...textOf(message.content)]; // the service counts code points
    return chars.length > limit ? { ...message, content: chars.slice(0, limit).join("") } : message;
  }
  if (field === "tool_calls" && message.tool_calls) {
    const { tool_calls: _, ...rest } = message;
    return { ...rest, content: rest.content ?? "" };
  }
  return message;
}

/** Return the text of a content: that of all its parts. @internal */
export function textOf(content: unknown): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  return content.map((part: { text?: unknown }) => (typeof part?.text === "string" ? part.text : "")).join("");
}

/** Return the parts of a framework's message as a content: texts, and the types of what is not text. @internal */
export function contentOf(content: unknown): string | object[] {
  if (!Array.isArray(content)) return textOf(content);
  const parts = content.map((part: JsonObject) => {
    const text = part.text ?? part.refusal ?? part.transcript;
    return typeof text === "string" ? { type: "text", text } : { type: part.type };
  });
  return parts.every((part) => "text" in part) ? textOf(parts) : parts;
}
