// An answer that is being written, after the messages, until its message is there.

import { announce, h } from "./dom.js";
import { markdown } from "./markdown.js";
import { text } from "./strings.js";

const PAUSE = 100; // milliseconds between two looks: chunks may come faster than one reads
const MAX_SHOWN = 50_000; // characters; of a longer answer the end is shown until it is a message
const MAX_PARAGRAPH = 6000;
const FENCE = /^ {0,3}(`{3,}|~{3,})/gmu;

export class DraftView {
  // `keepPlace(change)` makes a change that moves what is shown.
  constructor(draft, keepPlace) {
    this.id = draft.id;
    this.messageId = draft.message_id;
    this.keepPlace = keepPlace;
    this.seq = 0;
    this.rest = "";
    this.finished = []; // elements that do not change any more, with their lengths
    this.shown = 0;
    this.last = h("div");
    this.note = h("p", { class: "note" }, text.draft.writing);
    this.body = h("div", { class: "body" }, this.last);
    const heading = h("h3", { id: "by-draft" }, text.message.roles.assistant);
    this.element = h("article", { class: "message assistant draft", "aria-labelledby": heading.id, "aria-busy": "true" }, h("header", {}, heading, this.note), this.body);
    announce(text.draft.writing, false);
  }

  // Chunks come again where a reader begins anew: `seq` is the number of the last one.
  add({ seq, text: more, chunks }) {
    if (seq <= this.seq) return;
    this.seq = seq;
    this.rest += more ?? textOf(chunks);
    if (more === undefined && !this.rest && !this.shown) this.note.textContent = text.draft.chunks(seq);
    this.timer ??= setTimeout(() => this.keepPlace(() => this.show()), PAUSE);
  }

  // Only the paragraph that grows is made again.
  show() {
    this.timer = undefined;
    const end = ended(this.rest);
    if (end) {
      const made = h("div", {}, markdown(this.rest.slice(0, end)));
      this.finished.push([made, end]);
      this.shown += end;
      this.last.before(made);
      this.rest = this.rest.slice(end);
    }
    while (this.shown > MAX_SHOWN) {
      const [oldest, length] = this.finished.shift();
      oldest.remove();
      this.shown -= length;
    }
    this.last.replaceChildren(...markdown(this.rest));
  }

  // The producer is done; the message follows, or is there.
  end() {
    this.element.removeAttribute("aria-busy");
    this.note.textContent = "";
    clearTimeout(this.timer);
    this.keepPlace(() => this.show());
  }

  close() {
    clearTimeout(this.timer);
    this.element.remove();
  }
}

// Returns where the last paragraph begins that may still grow. A fence stays whole.
function ended(source) {
  const paragraph = source.lastIndexOf("\n\n");
  if (paragraph >= 0 && !hasOpenFence(source.slice(0, paragraph))) return paragraph + 2;
  return source.length > (hasOpenFence(source) ? MAX_SHOWN : MAX_PARAGRAPH) ? source.length : 0;
}

function hasOpenFence(source) {
  return (source.match(FENCE) ?? []).length % 2 === 1;
}

// The text in chunks of UI messages; those of other formats are unknown here.
function textOf(chunks) {
  return chunks.filter((each) => each.type === "text-delta" && typeof each.delta === "string").map((each) => each.delta).join("");
}
