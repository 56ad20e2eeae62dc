// Saves a conversation as a file. The token goes in a header, so a link alone would not do.

import { Problem } from "./api.js";
import { h } from "./dom.js";
import { text } from "./strings.js";

const MAX_BYTES = 100 * 1024 * 1024; // a browser keeps the file until it is saved
const PIECE_BYTES = 1024 * 1024;
const EXTENSIONS = { jsonl: "jsonl", markdown: "md" };

// Returns the name of the file. `resource` is the path of the conversation's export.
export async function saveExport(api, resource, title, format) {
  const response = await api.read(resource, { format });
  const file = await collect(response.body.getReader(), response.headers.get("Content-Type"));
  const url = URL.createObjectURL(file);
  const name = `${nameOf(title)}.${EXTENSIONS[format]}`;
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
  return name;
}

// The pieces are blobs, which a browser may keep on disk, and not in the memory of the page.
async function collect(reader, type) {
  const pieces = [];
  let chunks = [];
  let size = 0;
  let held = 0;
  for (;;) {
    const { value, done } = await reader.read().catch(() => {
      throw new Problem(0, { detail: text.problems.network });
    });
    if (done) return new Blob([...pieces, ...chunks], { type });
    chunks.push(value);
    size += value.length;
    held += value.length;
    if (size > MAX_BYTES) {
      reader.cancel();
      throw new Problem(0, { detail: text.export.tooLarge(MAX_BYTES / 1024 / 1024) });
    }
    if (held > PIECE_BYTES) {
      pieces.push(new Blob(chunks));
      chunks = [];
      held = 0;
    }
  }
}

// Letters and digits of the title: nothing in it can be a path, or hide what the file is.
function nameOf(title) {
  return [...(title ?? "").normalize("NFC").matchAll(/[\p{L}\p{M}\p{N}]+/gu)].join("-").slice(0, 80) || text.export.name;
}
