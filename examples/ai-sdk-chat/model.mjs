// A model that needs no key and no network: it repeats the question, slowly, so that there is time to reload or stop.

import { setTimeout as wait } from "node:timers/promises";

const PAUSE = Number(process.env.WORD_MS ?? 150);
const usage = { inputTokens: {}, outputTokens: {} };

function textOf(prompt) {
  const { content } = prompt.at(-1);
  return content.map((part) => part.text ?? "").join(" ");
}

export const model = {
  specificationVersion: "v4",
  provider: "example",
  modelId: "echo",
  supportedUrls: {},
  async doStream({ prompt, abortSignal }) {
    const words = `You said "${textOf(prompt)}", and I have ${prompt.length} messages before me to answer it from.`.split(/(?<= )/);
    async function* parts() {
      yield { type: "stream-start", warnings: [] };
      yield { type: "text-start", id: "0" };
      for (const delta of words) {
        await wait(PAUSE, undefined, { signal: abortSignal });
        yield { type: "text-delta", id: "0", delta };
      }
      yield { type: "text-end", id: "0" };
      yield { type: "finish", usage, finishReason: { unified: "stop", raw: "stop" } };
    }
    return { stream: ReadableStream.from(parts()) };
  },
};
